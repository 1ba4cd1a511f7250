// The Go SDK as a user has it; jobs and answers as jobs.mjs has them.

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
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

type keyed struct{ key string }

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.key)
	return http.DefaultTransport.RoundTrip(r)
}

func run(j job) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	client := mcp.NewClient(
		&mcp.Implementation{Name: "stoa-test", Version: "1"}, nil)
	options := &mcp.ClientSessionOptions{}
	if j.Mode != "default" {
		options.ProtocolVersion = j.Mode
	}
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:   j.URL,
		HTTPClient: &http.Client{Transport: keyed{j.Key}},
	}, options)
	if err != nil {
		return nil, err
	}
	defer session.Close()

	a := &answer{Version: session.InitializeResult().ProtocolVersion}
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, err
		}
		a.Tools = append(a.Tools, tool.Name)
	}
	for _, c := range j.Calls {
		once, done := context.WithTimeout(ctx, 15*time.Second)
		result, err := session.CallTool(once, &mcp.CallToolParams{
			Name: c[0].(string), Arguments: c[1]})
		done()
		if err != nil {
			a.Results = append(a.Results, failure{err.Error()})
			continue
		}
		text := result.Content[0].(*mcp.TextContent).Text
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
