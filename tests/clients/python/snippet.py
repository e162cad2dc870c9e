# Sends one message to Fulmar and receives it again, with the official Python client (rocketmq-python-client).
#   python3 snippet.py 127.0.0.1:8081

import sys

from rocketmq import ClientConfiguration, Credentials, FilterExpression, Message, Producer, SimpleConsumer

# One address is enough: the Proxy tells the client everything else.
server = ClientConfiguration(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8081", Credentials())

# A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
consumer = SimpleConsumer(server, "hello-python-readers", {"hello-python": FilterExpression("*")})
consumer.startup()

producer = Producer(server, ("hello-python",))
producer.startup()
message = Message()
message.topic = "hello-python"
message.body = b"Hello, Fulmar!"
print("sent", producer.send(message).message_id)

# Up to 16 messages; one that is not acknowledged within 30 seconds comes again.
for received in consumer.receive(16, 30):
    print("received", received.body.decode())
    consumer.ack(received)

producer.shutdown()
consumer.shutdown()
