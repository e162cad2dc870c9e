// Sends one message to Fulmar and receives it again, with the official Java client (org.apache.rocketmq:rocketmq-client-java).
//   java -cp rocketmq-client-java-5.2.0.jar snippet.java 127.0.0.1:8081

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;

class Snippet {
  public static void main(String[] arguments) throws Exception {
    var provider = ClientServiceProvider.loadService();
    // One address is enough: the Proxy tells the client everything else.
    var server = ClientConfiguration.newBuilder().setEndpoints(arguments.length > 0 ? arguments[0] : "127.0.0.1:8081").build();

    // A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
    var received = new CountDownLatch(1);
    var consumer = provider.newPushConsumerBuilder()
        .setClientConfiguration(server)
        .setConsumerGroup("hello-java-readers")
        .setSubscriptionExpressions(Map.of("hello-java", FilterExpression.SUB_ALL))
        .setMessageListener(message -> {
          System.out.println("received " + UTF_8.decode(message.getBody()));
          received.countDown();
          return ConsumeResult.SUCCESS; // FAILURE, and the message comes again a little later.
        })
        .build();

    var producer = provider.newProducerBuilder().setClientConfiguration(server).setTopics("hello-java").build();
    var message = provider.newMessageBuilder().setTopic("hello-java").setBody("Hello, Fulmar!".getBytes(UTF_8)).build();
    System.out.println("sent " + producer.send(message).getMessageId());

    received.await();
    producer.close();
    consumer.close();
  }
}
