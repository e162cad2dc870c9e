"""Drives the official Python client from the command line; every event is one line of JSON on standard output."""

import argparse
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, LitePushConsumer,
                      LiteSimpleConsumer, Message, MessageListener, Producer, PushConsumer, SimpleConsumer, TransactionChecker, TransactionResolution)
from rocketmq.grpc_protocol import FilterType

started = time.monotonic()
output = threading.Lock()


def report(event, **details):
    with output:
        print(json.dumps({"event": event, **details}), flush=True)


def milliseconds():
    return round((time.monotonic() - started) * 1000)


def configuration(options):
    return ClientConfiguration(options.endpoint, Credentials())


def subscription(options):
    expression = FilterExpression(options.sql, FilterType.SQL) if options.sql else FilterExpression(options.tag or "*")
    return {topic: expression for topic in options.topic.split(",")}


def produce(options):
    producer = Producer(configuration(options), (options.topic,))
    producer.startup()
    report("ready")

    def send(index):
        message = Message()
        message.topic = options.topic
        body = f"{options.prefix}-{index}"
        message.body = body.encode()
        if options.tag:
            message.tag = options.tag
        if options.property:
            message.add_property(options.property, str(index))
        if options.group_key:
            message.message_group = options.group_key
        if options.lite_topic:
            message.lite_topic = options.lite_topic
        if options.delay:
            message.delivery_timestamp = int(time.time()) + options.delay
        if options.priorities:
            message.priority = 1 + index % options.priorities
        receipt = producer.send(message)
        report("sent", id=receipt.message_id, body=body)
        if options.recall_every and index % options.recall_every == 0:
            producer.recall_message(options.topic, receipt.recall_handle)
            report("recalled", id=receipt.message_id, body=body)

    # Messages of one group or lite topic keep their order only when each is sent after the one before it.
    with ThreadPoolExecutor(1 if options.group_key or options.lite_topic else options.concurrency) as senders:
        list(senders.map(send, range(options.count)))
    report("done", count=options.count, milliseconds=milliseconds())
    producer.shutdown()
    return True


class Checker(TransactionChecker):
    def __init__(self, answer):
        self.answer = answer

    def check(self, message):
        report("asked", id=message.message_id, body=message.body.decode())
        return self.answer


def transact(options):
    """Sends half messages, does with each what --end says, and answers what the server asks as --answer says."""
    answers = {"commit": TransactionResolution.COMMIT, "rollback": TransactionResolution.ROLLBACK,
               "unknown": TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED}
    producer = Producer(configuration(options), (options.topic,), checker=Checker(answers[options.answer]))
    producer.startup()
    report("ready")
    for index in range(options.count):
        message = Message()
        message.topic = options.topic
        body = f"{options.prefix}-{index}"
        message.body = body.encode()
        transaction = producer.begin_transaction()
        report("sent", id=producer.send(message, transaction).message_id, body=body)
        if options.end == "commit":
            transaction.commit()
        if options.end == "rollback":
            transaction.rollback()
    report("done", milliseconds=milliseconds())
    time.sleep(options.linger)
    producer.shutdown()
    return True


class Tally:
    """What has come so far: all, when the distinct bodies are there, or the deliveries when every one of them fails."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.bodies = set()
        self.deliveries = 0
        self.over = False

    def add(self, message, result):
        body = message.body.decode()
        with self.lock:
            self.deliveries += 1
            if result == "ack":
                self.bodies.add(body)
        report("received", id=message.message_id, body=body, attempt=message.delivery_attempt, result=result)

    def complete(self):
        with self.lock:
            return (self.deliveries if self.options.fail_always else len(self.bodies)) >= self.options.expect

    def wait_for_all(self):
        end = time.monotonic() + self.options.timeout
        while not self.complete() and time.monotonic() < end:
            time.sleep(0.05)
        if self.complete():
            time.sleep(self.options.linger)  # The consumer stays a little, to see whether any comes twice.

    def conclude(self):
        self.over = True
        complete = self.complete()
        report("done" if complete else "error",
               text=f"{len(self.bodies)} of {self.options.expect} bodies, {self.deliveries} deliveries",
               bodies=len(self.bodies), deliveries=self.deliveries, milliseconds=milliseconds())
        return complete


class Listener(MessageListener):
    def __init__(self, options, tally):
        self.options = options
        self.tally = tally

    def consume(self, message):
        if fails(self.options, message):
            self.tally.add(message, "fail")
            return ConsumeResult.FAILURE
        self.tally.add(message, "ack")
        return ConsumeResult.SUCCESS


def fails(options, message):
    if options.fail_always:
        return True
    every = options.fail_first_attempt
    index = int(message.body.decode().rpartition("-")[2])
    return every > 0 and message.delivery_attempt == 1 and index % every == 0


def push(options):
    tally = Tally(options)
    consumer = PushConsumer(configuration(options), options.group, Listener(options, tally), subscription(options))
    consumer.startup()
    time.sleep(2)  # The client asks for its queues one second after its start and polls them from then on.
    report("ready")
    tally.wait_for_all()
    complete = tally.conclude()
    consumer.shutdown()
    return complete


def lite_push(options):
    """Reads the lite topics of --lite-topics, and no other of the topic."""
    tally = Tally(options)
    listener = Listener(options, tally)
    consumer = LitePushConsumer(configuration(options), options.group, options.topic, listener)
    consumer.startup()
    subscribe(consumer, options)
    report("ready")
    tally.wait_for_all()
    complete = tally.conclude()
    consumer.shutdown()
    return complete


def subscribe(consumer, options):
    for name in options.lite_topics.split(","):
        consumer.subscribe_lite(name)
    consumer.subscribe_lite_all()  # The client sends the letters of each name first, and its names half a minute later.


def simple(options):
    consumer = SimpleConsumer(configuration(options), options.group, subscription(options))
    consumer.startup()
    return receive_all(consumer, options)


def lite_simple(options):
    consumer = LiteSimpleConsumer(options.topic, configuration(options), options.group)
    consumer.startup()
    time.sleep(2)  # Before the answer to its settings it refuses every lite topic.
    subscribe(consumer, options)
    return receive_all(consumer, options)


# How long a simple consumer puts off what it fails.
PUT_OFF_SECONDS = 2


def receive_all(consumer, options):
    tally = Tally(options)
    report("ready")

    def receive():
        while not tally.over:
            try:
                for message in consumer.receive(32, options.invisible):
                    failed = fails(options, message)
                    if failed:
                        consumer.change_invisible_duration(message, PUT_OFF_SECONDS)
                    else:
                        consumer.ack(message)
                    tally.add(message, "fail" if failed else "ack")
            except Exception as failure:
                if not tally.over:
                    report("error", text=f"receive: {failure!r}")
                    time.sleep(1)

    threading.Thread(target=receive, daemon=True).start()
    tally.wait_for_all()
    complete = tally.conclude()
    consumer.shutdown()
    return complete


def parse(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["produce", "push", "simple", "lite-push", "lite-simple", "transact"])
    for name in ["endpoint", "topic"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["group", "prefix", "group-key", "lite-topic", "lite-topics", "tag", "sql", "property"]:
        parser.add_argument(f"--{name}")
    for name, otherwise in [("count", 1), ("expect", 1), ("concurrency", 8), ("timeout", 60), ("invisible", 30),
                            ("linger", 1), ("fail-first-attempt", 0), ("delay", 0), ("recall-every", 0),
                            ("priorities", 0)]:
        parser.add_argument(f"--{name}", type=int, default=otherwise)
    parser.add_argument("--end", choices=["commit", "rollback", "none"], default="none")
    parser.add_argument("--answer", choices=["commit", "rollback", "unknown"], default="unknown")
    parser.add_argument("--fail-always", action="store_true")
    return parser.parse_args(words)


def main():
    options = parse(sys.argv[1:])
    try:
        commands = {"produce": produce, "push": push, "simple": simple, "transact": transact,
                    "lite-push": lite_push, "lite-simple": lite_simple}
        complete = commands[options.command](options)
    except Exception as failure:
        report("error", text=repr(failure))
        complete = False
    sys.stdout.flush()
    os._exit(0 if complete else 1)  # A poll that is still under way in a thread of the client must not delay the end.


if __name__ == "__main__":
    main()
