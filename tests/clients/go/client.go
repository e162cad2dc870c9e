// Drives the official Go client from the command line; every event is one line of JSON on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
	protocol "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

type fields map[string]any

var (
	options = map[string]string{}
	started = time.Now()
	output  sync.Mutex
)

func main() {
	commands := map[string]func() error{"produce": produce, "push": push, "simple": simple, "lite-push": litePush, "transact": transact}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("the first word is produce, push, simple, lite-push or transact"))
	}
	for words := os.Args[2:]; len(words) > 0; words = words[2:] {
		name := strings.TrimPrefix(words[0], "--")
		if name == "fail-always" {
			words = append([]string{words[0], "true"}, words[1:]...)
		}
		options[name] = words[1]
	}
	if err := commands[os.Args[1]](); err != nil {
		fail(err)
	}
}

func produce() error {
	producer, err := rocketmq.NewProducer(configuration(), rocketmq.WithTopics(topics()...))
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	report("ready", nil)

	count, concurrency := number("count", 1), number("concurrency", 8)
	if options["group-key"] != "" || options["lite-topic"] != "" {
		concurrency = 1 // Such messages keep their order only when each is sent after the one before it.
	}
	err = inParallel(count, concurrency, func(index int) error { return send(producer, index) })
	if err != nil {
		return err
	}
	report("done", fields{"count": count, "milliseconds": time.Since(started).Milliseconds()})
	return producer.GracefulStop()
}

// Does the work for each number below count, so many at a time; ends with the first error.
func inParallel(count, concurrency int, work func(index int) error) error {
	var next atomic.Int64
	errors := make(chan error, concurrency)
	for range concurrency {
		go func() {
			for {
				index := int(next.Add(1)) - 1
				if index >= count {
					errors <- nil
					return
				}
				if err := work(index); err != nil {
					errors <- err
					return
				}
			}
		}()
	}
	for range concurrency {
		if err := <-errors; err != nil {
			return err
		}
	}
	return nil
}

func send(producer rocketmq.Producer, index int) error {
	body := fmt.Sprintf("%s-%d", options["prefix"], index)
	message := &rocketmq.Message{Topic: topics()[0], Body: []byte(body)}
	if tag := options["tag"]; tag != "" {
		message.SetTag(tag)
	}
	if property := options["property"]; property != "" {
		message.AddProperty(property, strconv.Itoa(index))
	}
	if group := options["group-key"]; group != "" {
		message.SetMessageGroup(group)
	}
	if liteTopic := options["lite-topic"]; liteTopic != "" {
		message.SetLiteTopic(liteTopic)
	}
	if delay := number("delay", 0); delay > 0 {
		message.SetDelayTimestamp(time.Now().Add(time.Duration(delay) * time.Second))
	}
	if priorities := number("priorities", 0); priorities > 0 {
		if err := message.SetPriority(int32(1 + index%priorities)); err != nil {
			return err
		}
	}
	receipts, err := producer.Send(context.Background(), message)
	if err != nil {
		return err
	}
	report("sent", fields{"id": receipts[0].MessageID, "body": body})
	if every := number("recall-every", 0); every > 0 && index%every == 0 {
		if _, err := producer.Recall(context.Background(), message.Topic, receipts[0].RecallHandle); err != nil {
			return err
		}
		report("recalled", fields{"id": receipts[0].MessageID, "body": body})
	}
	return nil
}

// Sends half messages, does with each what --end says, and answers what the server asks as --answer says.
func transact() error {
	checker := &rocketmq.TransactionChecker{Check: func(message *rocketmq.MessageView) rocketmq.TransactionResolution {
		body := string(message.GetBody())
		report("asked", fields{"id": message.GetMessageId(), "body": body, "atMs": time.Now().UnixMilli()})
		return map[string]rocketmq.TransactionResolution{
			"commit": rocketmq.COMMIT, "rollback": rocketmq.ROLLBACK,
		}[decision(options["answer"], body)]
	}}
	producer, err := rocketmq.NewProducer(configuration(),
		rocketmq.WithTopics(topics()...), rocketmq.WithTransactionChecker(checker))
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	report("ready", nil)
	if err := inParallel(number("count", 1), number("concurrency", 1), func(index int) error {
		return transactOne(producer, index)
	}); err != nil {
		return err
	}
	report("done", fields{"milliseconds": time.Since(started).Milliseconds()})
	time.Sleep(time.Duration(number("linger", 1)) * time.Second)
	return producer.GracefulStop()
}

func transactOne(producer rocketmq.Producer, index int) error {
	body := fmt.Sprintf("%s-%d", options["prefix"], index)
	transaction := producer.BeginTransaction()
	message := &rocketmq.Message{Topic: topics()[0], Body: []byte(body)}
	receipts, err := producer.SendWithTransaction(context.Background(), message, transaction)
	if err != nil {
		return err
	}
	report("sent", fields{"id": receipts[0].MessageID, "body": body, "atMs": time.Now().UnixMilli()})
	time.Sleep(time.Duration(rand.IntN(number("pause", 0)+1)) * time.Millisecond)
	end := map[string]func() error{
		"commit": transaction.Commit, "rollback": transaction.RollBack,
	}[decision(options["end"], body)]
	if end == nil {
		return nil
	}
	report("ending", fields{"body": body, "atMs": time.Now().UnixMilli()})
	return end()
}

// What is to become of a message. With the choice "mixed" every fourth is rolled back: all producers decide alike.
func decision(choice, body string) string {
	if choice != "mixed" {
		return choice
	}
	if index, _ := strconv.Atoi(body[strings.LastIndex(body, "-")+1:]); index%4 == 3 {
		return "rollback"
	}
	return "commit"
}

func (tally *tally) listener() *rocketmq.FuncMessageListener {
	return &rocketmq.FuncMessageListener{Consume: func(message *rocketmq.MessageView) rocketmq.ConsumerResult {
		if fails(string(message.GetBody()), message.GetDeliveryAttempt()) {
			tally.add(message, "fail")
			return rocketmq.FAILURE
		}
		tally.add(message, "ack")
		return rocketmq.SUCCESS
	}}
}

// Reads the lite topics of --lite-topics, and no other of the topic.
func litePush() error {
	tally := &tally{bodies: map[string]bool{}}
	lite := rocketmq.NewLitePushConsumerConfig(topics()[0], time.Duration(number("invisible", 30))*time.Second)
	consumer, err := rocketmq.NewLitePushConsumer(configuration(), lite,
		rocketmq.WithPushMessageListener(tally.listener()))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	for _, name := range strings.Split(options["lite-topics"], ",") {
		if err := consumer.SubscribeLite(name); err != nil {
			return err
		}
	}
	report("ready", nil)
	tally.waitForAll()
	incomplete := tally.conclude()
	if err := consumer.GracefulStop(); err != nil {
		return err
	}
	return incomplete
}

func push() error {
	tally := &tally{bodies: map[string]bool{}}
	consumer, err := rocketmq.NewPushConsumer(configuration(),
		rocketmq.WithPushSubscriptionExpressions(subscription()), rocketmq.WithPushMessageListener(tally.listener()))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // The client asks for its queues one second after its start and polls them from then on.
	report("ready", nil)
	tally.waitForAll()
	incomplete := tally.conclude()
	if err := consumer.GracefulStop(); err != nil {
		return err
	}
	return incomplete
}

func simple() error {
	tally := &tally{bodies: map[string]bool{}}
	consumer, err := rocketmq.NewSimpleConsumer(configuration(),
		rocketmq.WithSimpleSubscriptionExpressions(subscription()),
		rocketmq.WithSimpleAwaitDuration(10*time.Second)) // The client has no default for this one.
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	report("ready", nil)
	go receive(consumer, tally)
	tally.waitForAll()
	incomplete := tally.conclude()
	if err := consumer.GracefulStop(); err != nil {
		return err
	}
	return incomplete
}

// How long a simple consumer puts off what it fails.
const putOff = 2 * time.Second

func receive(consumer rocketmq.SimpleConsumer, tally *tally) {
	invisible := time.Duration(number("invisible", 30)) * time.Second
	for !tally.over.Load() {
		messages, err := consumer.Receive(context.Background(), 32, invisible)
		status, isStatus := rocketmq.AsErrRpcStatus(err)
		nothingCame := isStatus && status.GetCode() == int32(protocol.Code_MESSAGE_NOT_FOUND)
		if err != nil && !nothingCame && !tally.over.Load() {
			report("error", fields{"text": "receive: " + err.Error()})
			time.Sleep(time.Second)
		}
		for _, message := range messages {
			result, settle := "ack", func() error { return consumer.Ack(context.Background(), message) }
			if fails(string(message.GetBody()), message.GetDeliveryAttempt()) {
				result, settle = "fail", func() error { return consumer.ChangeInvisibleDuration(message, putOff) }
			}
			if err := settle(); err != nil {
				report("error", fields{"text": result + ": " + err.Error()})
				continue
			}
			tally.add(message, result)
		}
	}
}

func fails(body string, attempt int32) bool {
	if options["fail-always"] != "" {
		return true
	}
	every := number("fail-first-attempt", 0)
	index, _ := strconv.Atoi(body[strings.LastIndex(body, "-")+1:])
	return every > 0 && attempt == 1 && index%every == 0
}

// What has come so far. All is there when the distinct bodies are, or the deliveries when every one of them fails.
type tally struct {
	lock       sync.Mutex
	bodies     map[string]bool
	deliveries int
	over       atomic.Bool
}

func (tally *tally) add(message *rocketmq.MessageView, result string) {
	tally.lock.Lock()
	defer tally.lock.Unlock()
	tally.deliveries++
	if result == "ack" {
		tally.bodies[string(message.GetBody())] = true
	}
	report("received", fields{
		"id": message.GetMessageId(), "body": string(message.GetBody()),
		"attempt": message.GetDeliveryAttempt(), "result": result,
	})
}

func (tally *tally) complete() bool {
	tally.lock.Lock()
	defer tally.lock.Unlock()
	if options["fail-always"] != "" {
		return tally.deliveries >= number("expect", 1)
	}
	return len(tally.bodies) >= number("expect", 1)
}

func (tally *tally) waitForAll() {
	end := time.Now().Add(time.Duration(number("timeout", 60)) * time.Second)
	for !tally.complete() && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
	}
	if tally.complete() { // The consumer stays a little, to see whether any comes twice.
		time.Sleep(time.Duration(number("linger", 1)) * time.Second)
	}
}

func (tally *tally) conclude() error {
	tally.over.Store(true)
	complete := tally.complete()
	tally.lock.Lock()
	defer tally.lock.Unlock()
	text := fmt.Sprintf("%d of %s bodies, %d deliveries", len(tally.bodies), options["expect"], tally.deliveries)
	if !complete {
		return fmt.Errorf("in time came only %s", text)
	}
	report("done", fields{
		"text": text, "bodies": len(tally.bodies), "deliveries": tally.deliveries,
		"milliseconds": time.Since(started).Milliseconds(),
	})
	return nil
}

func configuration() *rocketmq.Config {
	return &rocketmq.Config{
		Endpoint:      options["endpoint"],
		ConsumerGroup: options["group"],
		Credentials:   &credentials.SessionCredentials{},
	}
}

func subscription() map[string]*rocketmq.FilterExpression {
	expression := rocketmq.SUB_ALL
	if tag := options["tag"]; tag != "" {
		expression = rocketmq.NewFilterExpression(tag)
	}
	if sql := options["sql"]; sql != "" {
		expression = rocketmq.NewFilterExpressionWithType(sql, rocketmq.SQL92)
	}
	expressions := map[string]*rocketmq.FilterExpression{}
	for _, topic := range topics() {
		expressions[topic] = expression
	}
	return expressions
}

func topics() []string {
	return strings.Split(options["topic"], ",")
}

func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(options[name]); err == nil {
		return value
	}
	return otherwise
}

func report(event string, details fields) {
	line := fields{"event": event}
	for name, value := range details {
		line[name] = value
	}
	text, _ := json.Marshal(line)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}

func fail(err error) {
	report("error", fields{"text": err.Error()})
	os.Exit(1)
}
