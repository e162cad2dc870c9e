// Sends one message to Fulmar and receives it again, with the official Java client
// (org.apache.rocketmq:rocketmq-client-java).
//   java -cp rocketmq-client-java-5.2.0.jar snippet.java 127.0.0.1:8081

import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.util.Map;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;

class Snippet {
  public static void main(String[] arguments) throws Exception {
    var provider = ClientServiceProvider.loadService();
    // One address is enough: the Proxy tells the client everything else.
    var address = arguments.length > 0 ? arguments[0] : "127.0.0.1:8081";
    var server = ClientConfiguration.newBuilder().setEndpoints(address).build();

    // A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
    var consumer = provider.newSimpleConsumerBuilder()
        .setClientConfiguration(server)
        .setConsumerGroup("hello-java-readers")
        .setAwaitDuration(Duration.ofSeconds(10)) // How long receive waits when there is nothing.
        .setSubscriptionExpressions(Map.of("hello-java", FilterExpression.SUB_ALL))
        .build();

    var producer = provider.newProducerBuilder().setClientConfiguration(server).setTopics("hello-java").build();
    var message = provider.newMessageBuilder().setTopic("hello-java").setBody("Hello, Fulmar!".getBytes(UTF_8)).build();
    System.out.println("sent " + producer.send(message).getMessageId());

    // Up to 16 messages; one that is not acknowledged within 30 seconds comes again.
    for (var received : consumer.receive(16, Duration.ofSeconds(30))) {
      System.out.println("received " + UTF_8.decode(received.getBody()));
      consumer.ack(received);
    }

    producer.close();
    consumer.close();
  }
}
