// rmcp as a user has it; jobs and answers as jobs.mjs has them.

use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt},
    transport::{
        streamable_http_client::StreamableHttpClientTransportConfig, StreamableHttpClientTransport,
    },
};
use serde_json::{json, Value};
use std::{error::Error, time::Duration};

fn failed(e: impl std::fmt::Display) -> Value {
    json!({ "error": e.to_string() })
}

fn mode(name: &str) -> ClientLifecycleMode {
    let modern = vec![ProtocolVersion::V_2026_07_28];
    match name {
        "auto" => ClientLifecycleMode::Auto {
            preferred_versions: modern,
            legacy_version: None,
        },
        "2026-07-28" => ClientLifecycleMode::Discover {
            preferred_versions: modern,
        },
        _ => ClientLifecycleMode::Initialize,
    }
}

async fn run(job: &Value) -> Result<Value, Box<dyn Error>> {
    let transport = StreamableHttpClientTransport::from_config(
        StreamableHttpClientTransportConfig::with_uri(job["url"].as_str().unwrap())
            .auth_header(job["key"].as_str().unwrap()),
    );
    let client = ().serve_with_lifecycle(transport, mode(job["mode"].as_str().unwrap())).await?;
    let tools: Vec<String> =
        client.list_all_tools().await?.iter().map(|t| t.name.to_string()).collect();

    let mut results = Vec::new();
    for what in job["calls"].as_array().unwrap() {
        let call = CallToolRequestParams::new(what[0].as_str().unwrap().to_string())
            .with_arguments(what[1].as_object().unwrap().clone());
        let result = tokio::time::timeout(Duration::from_secs(15), client.call_tool(call)).await;
        results.push(match result {
            Err(e) => failed(e),
            Ok(Err(e)) => failed(e),
            Ok(Ok(r)) => {
                let text = &serde_json::to_value(&r.content)?[0]["text"];
                if r.is_error == Some(true) { json!({ "error": text }) } else { text.clone() }
            }
        });
    }

    let version = client.peer_info().map(|p| p.protocol_version.to_string());
    client.cancel().await?;
    Ok(json!({ "version": version, "tools": tools, "results": results }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let jobs: Vec<Value> = serde_json::from_reader(std::io::stdin())?;
    for job in &jobs {
        println!("{}", run(job).await.unwrap_or_else(failed));
    }
    Ok(())
}
