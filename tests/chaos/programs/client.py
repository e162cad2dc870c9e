"""The official Python client under chaos: produces at a steady rate or consumes, and writes its history as lines of
JSON on standard output. Whatever the client throws is written down; SIGTERM ends it in good order."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rocketmq import ClientConfiguration, Credentials, FilterExpression, Message, Producer, SimpleConsumer

REST_AFTER_ERROR_S = 0.2
SENDERS = 16
output = threading.Lock()
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())

parser = argparse.ArgumentParser()
for option in ["role", "name", "endpoint", "topic", "group"]:
    parser.add_argument(f"--{option}")
for option, otherwise in [("rate", 10), ("lines", 0), ("invisible-ms", 15000), ("poll-ms", 5000)]:
    parser.add_argument(f"--{option}", type=int, default=otherwise)
options = parser.parse_args()


def write(event, **details):
    line = {"atMs": time.monotonic_ns() / 1e6, "client": options.name, "event": event, **details}
    with output:
        print(json.dumps(line), flush=True)


def said(error):
    return str(error)[:300]


def send(producer, key, group=None, sequence=None):
    about = {"topic": options.topic, "key": key}
    if group is not None:
        about.update(group=group, sequence=sequence)
    message = Message()
    message.topic = options.topic
    message.body = key.encode()
    if group is not None:
        message.message_group = group
    write("send", state="invoke", **about)
    try:
        receipt = producer.send(message)
        write("send", state="ok", messageId=receipt.message_id, **about)
    except Exception as error:
        write("send", state="unknown", text=said(error), **about)
        time.sleep(REST_AFTER_ERROR_S)


def produce(configuration):
    producer = Producer(configuration, (options.topic,))
    start(producer)
    every = 1 / options.rate

    def line(number):
        group = f"{options.name}-line-{number}"
        sequence = 0
        while not stopping.is_set():
            begun = time.monotonic()
            send(producer, f"{group}-{sequence}", group, sequence)
            sequence += 1
            time.sleep(max(0, every * options.lines - (time.monotonic() - begun)))

    if options.lines > 0:
        with ThreadPoolExecutor(options.lines) as senders:
            list(senders.map(line, range(options.lines)))
    else:
        places = threading.Semaphore(SENDERS)

        def one(number):
            try:
                send(producer, f"{options.name}-{number}")
            finally:
                places.release()

        with ThreadPoolExecutor(SENDERS) as senders:
            number = 0
            while not stopping.is_set():
                places.acquire()
                senders.submit(one, number)
                number += 1
                time.sleep(every)
    write("done")


def acknowledge(consumer, message, about):
    write("ack", state="invoke", **about)
    try:
        consumer.ack(message)
        write("ack", state="ok", **about)
    except Exception as error:
        # A code of the caller's own fault is a refusal; anything else may have counted.
        code = getattr(error, "code", None)
        state = "fail" if isinstance(code, int) and 40000 <= code < 50000 else "unknown"
        write("ack", state=state, text=said(error), **about)


def simple(configuration):
    subscription = {options.topic: FilterExpression("*")}
    consumer = SimpleConsumer(configuration, options.group, subscription, await_duration=options.poll_ms // 1000)
    start(consumer)

    def work():
        while not stopping.is_set():
            try:
                messages = consumer.receive(16, options.invisible_ms // 1000)
            except Exception as error:
                if not stopping.is_set():
                    write("note", text=f"receive: {said(error)}")
                    time.sleep(REST_AFTER_ERROR_S)
                continue
            held = []
            for message in messages or []:
                about = {"topic": options.topic, "consumerGroup": options.group, "key": message.body.decode(),
                         "messageId": message.message_id, "attempt": message.delivery_attempt}
                write("deliver", **about)
                held.append((message, about))
            for message, about in held:
                acknowledge(consumer, message, about)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    write("done")


def start(client):
    while not stopping.is_set():
        try:
            client.startup()
            write("ready")
            return
        except Exception as error:
            write("note", text=f"startup: {said(error)}")
            time.sleep(REST_AFTER_ERROR_S)


{"produce": produce, "simple": simple}[options.role](
    ClientConfiguration(options.endpoint, Credentials()))
sys.stdout.flush()
os._exit(0)  # Polls that are under way in threads of the client must not delay the end.
