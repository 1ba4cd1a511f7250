// mcp-go as a user has it; jobs and answers as jobs.mjs has them.

package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

type job struct {
	URL   string  `json:"url"`
	Key   string  `json:"key"`
	Mode  string  `json:"mode"`
	Calls [][]any `json:"calls"`
}

type failure struct {
	Error string `json:"error"`
}

type answer struct {
	Version string   `json:"version"`
	Tools   []string `json:"tools"`
	Results []any    `json:"results"`
}

func run(j job) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.NewStreamableHttpClient(j.URL,
		transport.WithHTTPHeaders(map[string]string{
			"Authorization": "Bearer " + j.Key}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err = c.Start(ctx); err != nil {
		return nil, err
	}
	hello := mcp.InitializeRequest{}
	hello.Params.ClientInfo = mcp.Implementation{
		Name: "stoa-test", Version: "1"}
	if j.Mode != "default" {
		hello.Params.ProtocolVersion = j.Mode
	}
	if _, err = c.Initialize(ctx, hello); err != nil {
		return nil, err
	}

	tools, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	a := &answer{Version: c.ProtocolVersion()}
	for _, tool := range tools.Tools {
		a.Tools = append(a.Tools, tool.Name)
	}
	for _, what := range j.Calls {
		once, done := context.WithTimeout(ctx, 15*time.Second)
		call := mcp.CallToolRequest{}
		call.Params.Name = what[0].(string)
		call.Params.Arguments = what[1]
		result, err := c.CallTool(once, call)
		done()
		if err != nil {
			a.Results = append(a.Results, failure{err.Error()})
			continue
		}
		text := result.Content[0].(mcp.TextContent).Text
		if result.IsError {
			a.Results = append(a.Results, failure{text})
		} else {
			a.Results = append(a.Results, text)
		}
	}
	return a, nil
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, j := range jobs {
		a, err := run(j)
		if err != nil {
			out.Encode(failure{err.Error()})
		} else {
			out.Encode(a)
		}
	}
}
