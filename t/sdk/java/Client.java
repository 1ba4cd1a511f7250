// The Java SDK as a user has it; jobs and answers as jobs.mjs has them.

import io.modelcontextprotocol.client.McpClient;
import io.modelcontextprotocol.client.McpSyncClient;
import io.modelcontextprotocol.client.transport.HttpClientStreamableHttpTransport;
import io.modelcontextprotocol.spec.McpSchema;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

public class Client {
    static Object text(McpSchema.CallToolResult r) {
        String said = ((McpSchema.TextContent) r.content().get(0)).text();
        return Boolean.TRUE.equals(r.isError()) ? Map.of("error", said) : said;
    }

    static Object run(Map<String, Object> job) {
        String url = (String) job.get("url");
        int path = url.indexOf('/', "http://".length());
        var transport = HttpClientStreamableHttpTransport
            .builder(url.substring(0, path)).endpoint(url.substring(path))
            .customizeClient(b -> b.connectTimeout(Duration.ofSeconds(10)))
            .httpRequestCustomizer((b, method, uri, body, context) ->
                b.header("Authorization", "Bearer " + job.get("key")))
            .build();
        try (McpSyncClient client = McpClient.sync(transport)
                .requestTimeout(Duration.ofSeconds(15)).build()) {
            String version = client.initialize().protocolVersion();
            List<String> tools = client.listTools().tools().stream()
                .map(McpSchema.Tool::name).toList();
            List<Object> results = new ArrayList<>();
            for (Object what : (List<?>) job.get("calls")) {
                List<?> call = (List<?>) what;
                @SuppressWarnings("unchecked")
                var arguments = (Map<String, Object>) call.get(1);
                try {
                    results.add(text(client.callTool(
                        new McpSchema.CallToolRequest((String) call.get(0), arguments))));
                } catch (Exception e) {
                    results.add(Map.of("error", String.valueOf(e.getMessage())));
                }
            }
            return Map.of("version", version, "tools", tools, "results", results);
        } catch (Exception e) {
            return Map.of("error", e + (e.getCause() == null ? "" : ": " + e.getCause()));
        }
    }

    public static void main(String[] args) {
        JsonMapper mapper = JsonMapper.shared();
        for (Object job : mapper.readValue(System.in, List.class)) {
            @SuppressWarnings("unchecked")
            var of = (Map<String, Object>) job;
            System.out.println(mapper.writeValueAsString(run(of)));
        }
        System.exit(0);
    }
}
