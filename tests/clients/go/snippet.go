//go:build ignore

// Sends one message to Fulmar and receives it again, with the official Go client
// (github.com/apache/rocketmq-clients/golang/v5).
//
//	go run snippet.go 127.0.0.1:8081
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	rocketmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

func main() {
	// One address is enough: the Proxy tells the client everything else. Credentials may be empty, but not absent.
	server := rocketmq.Config{Endpoint: "127.0.0.1:8081", Credentials: &credentials.SessionCredentials{}}
	if len(os.Args) > 1 {
		server.Endpoint = os.Args[1]
	}

	// A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
	reader := server
	reader.ConsumerGroup = "hello-go-readers"
	consumer, err := rocketmq.NewSimpleConsumer(&reader,
		rocketmq.WithSimpleAwaitDuration(10*time.Second), // How long Receive waits when there is nothing.
		rocketmq.WithSimpleSubscriptionExpressions(map[string]*rocketmq.FilterExpression{"hello-go": rocketmq.SUB_ALL}))
	check(err)
	check(consumer.Start())
	defer consumer.GracefulStop()

	producer, err := rocketmq.NewProducer(&server, rocketmq.WithTopics("hello-go"))
	check(err)
	check(producer.Start())
	defer producer.GracefulStop()
	message := &rocketmq.Message{Topic: "hello-go", Body: []byte("Hello, Fulmar!")}
	receipts, err := producer.Send(context.Background(), message)
	check(err)
	fmt.Println("sent", receipts[0].MessageID)

	// Up to 16 messages; one that is not acknowledged within 30 seconds comes again.
	messages, err := consumer.Receive(context.Background(), 16, 30*time.Second)
	check(err)
	for _, message := range messages {
		fmt.Println("received", string(message.GetBody()))
		check(consumer.Ack(context.Background(), message))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
