// A client of grpc-go for t/grpc.t: calls methods with messages that are
// bytes, and says what came as a line of JSON.
//
//	grpc-client ADDRESS KEY METHOD KIND MESSAGE... [timeout=MS]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type said struct {
	Code    int
	Message string
	Got     []string
	Trailer metadata.MD
	Header  metadata.MD
}

func call(conn *grpc.ClientConn, ctx context.Context, method, kind string,
	messages []string, out *said) error {
	client, server := kind == "client" || kind == "bidi",
		kind == "server" || kind == "bidi"
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{
		ClientStreams: client, ServerStreams: server}, method)
	if err != nil {
		return err
	}
	defer func() {
		out.Trailer = stream.Trailer()
		out.Header, _ = stream.Header()
	}()
	for _, m := range messages {
		b := []byte(m)
		if err = stream.SendMsg(&b); err != nil {
			break
		}
		if kind == "bidi" {
			var got []byte
			if err = stream.RecvMsg(&got); err != nil {
				break
			}
			out.Got = append(out.Got, string(got))
		}
	}
	if err != nil && err != io.EOF {
		return err
	}
	if err == nil {
		if err = stream.CloseSend(); err != nil {
			return err
		}
	}
	for {
		var got []byte
		if err = stream.RecvMsg(&got); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		out.Got = append(out.Got, string(got))
		if !server {
			return nil
		}
	}
}

func main() {
	encoding.RegisterCodec(raw{})
	address, key, method, kind := os.Args[1], os.Args[2], os.Args[3],
		os.Args[4]
	messages := os.Args[5:]
	ctx := context.Background()
	if n := len(messages); n > 0 &&
		strings.HasPrefix(messages[n-1], "timeout=") {
		ms, _ := strconv.Atoi(messages[n-1][len("timeout="):])
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx,
			time.Duration(ms)*time.Millisecond)
		defer cancel()
		messages = messages[:n-1]
	}
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", key)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	out := said{Got: []string{}}
	if err == nil {
		err = call(conn, ctx, method, kind, messages, &out)
	}
	s := status.Convert(err)
	out.Code, out.Message = int(s.Code()), s.Message()
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
}
