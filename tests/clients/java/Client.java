import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionChecker;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/** Drives the official Java client from the command line; every event is one line of JSON on standard output. */
public class Client {
  static final ClientServiceProvider provider = ClientServiceProvider.loadService();

  final Map<String, String> options = new HashMap<>();
  final Instant started = Instant.now();

  public static void main(String[] words) {
    int status = 1;
    try {
      Client client = new Client(Arrays.asList(words).subList(1, words.length));
      switch (words[0]) {
        case "produce": status = client.produce(); break;
        case "push": status = client.push(); break;
        case "simple": status = client.simple(); break;
        case "lite-push": status = client.litePush(); break;
        case "transact": status = client.transact(); break;
        default: throw new IllegalArgumentException("there is no " + words[0] + ": produce, push, simple, lite-push or transact");
      }
    } catch (Throwable failure) {
      report("error", "text", failure.toString());
    }
    System.exit(status);
  }

  Client(List<String> words) {
    for (int i = 0; i < words.size(); i++) {
      String name = words.get(i).substring(2);
      options.put(name, name.equals("fail-always") ? "true" : words.get(++i));
    }
  }

  int produce() throws Exception {
    Producer producer =
        provider.newProducerBuilder().setClientConfiguration(configuration()).setTopics(topics()).build();
    report("ready");
    int count = number("count", 1);
    // Messages of one group keep their order only when each is sent after the one before it.
    boolean inOrder = options.containsKey("group-key") || options.containsKey("lite-topic");
    int concurrency = inOrder ? 1 : number("concurrency", 8);
    ExecutorService senders = Executors.newFixedThreadPool(concurrency);
    List<Future<?>> sends = IntStream.range(0, count)
        .mapToObj(index -> senders.submit(() -> send(producer, index)))
        .collect(Collectors.toList());
    for (Future<?> send : sends) send.get();
    senders.shutdown();
    report("done", "count", count, "milliseconds", milliseconds());
    producer.close();
    return 0;
  }

  Object send(Producer producer, int index) throws ClientException {
    String body = options.get("prefix") + "-" + index;
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    MessageBuilder message = provider.newMessageBuilder().setTopic(topics()[0]).setBody(bytes);
    if (options.containsKey("tag")) message.setTag(options.get("tag"));
    if (options.containsKey("property")) message.addProperty(options.get("property"), String.valueOf(index));
    if (options.containsKey("group-key")) message.setMessageGroup(options.get("group-key"));
    if (options.containsKey("lite-topic")) message.setLiteTopic(options.get("lite-topic"));
    int delay = number("delay", 0);
    if (delay > 0) message.setDeliveryTimestamp(System.currentTimeMillis() + delay * 1000L);
    int priorities = number("priorities", 0);
    if (priorities > 0) message.setPriority(1 + index % priorities);
    SendReceipt receipt = producer.send(message.build());
    report("sent", "id", receipt.getMessageId(), "body", body);
    int every = number("recall-every", 0);
    if (every > 0 && index % every == 0) {
      producer.recallMessage(topics()[0], receipt.getRecallHandle());
      report("recalled", "id", receipt.getMessageId(), "body", body);
    }
    return null;
  }

  /** Sends half messages, does with each what `--end` says, and answers what the server asks as `--answer` says. */
  int transact() throws Exception {
    TransactionChecker checker = message -> {
      report("asked", "id", message.getMessageId(), "body", bodyOf(message));
      return TransactionResolution.valueOf(options.getOrDefault("answer", "unknown").toUpperCase());
    };
    Producer producer = provider.newProducerBuilder()
        .setClientConfiguration(configuration()).setTopics(topics()).setTransactionChecker(checker).build();
    report("ready");
    for (int index = 0; index < number("count", 1); index++) {
      String body = options.get("prefix") + "-" + index;
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      Transaction transaction = producer.beginTransaction();
      Message message = provider.newMessageBuilder().setTopic(topics()[0]).setBody(bytes).build();
      report("sent", "id", producer.send(message, transaction).getMessageId(), "body", body);
      if (options.get("end").equals("commit")) transaction.commit();
      if (options.get("end").equals("rollback")) transaction.rollback();
    }
    report("done", "milliseconds", milliseconds());
    Thread.sleep(number("linger", 1) * 1000L);
    producer.close();
    return 0;
  }

  MessageListener listener(Tally tally) {
    return message -> {
      boolean fails = fails(bodyOf(message), message.getDeliveryAttempt());
      tally.add(message, fails);
      return fails ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    };
  }

  /** Reads the lite topics of `--lite-topics`, and no other of the topic. */
  int litePush() throws Exception {
    Tally tally = new Tally();
    LitePushConsumer consumer = provider.newLitePushConsumerBuilder()
        .setClientConfiguration(configuration())
        .setConsumerGroup(options.get("group"))
        .bindTopic(topics()[0])
        .setMessageListener(listener(tally))
        .build();
    for (String name : options.get("lite-topics").split(",")) consumer.subscribeLite(name);
    report("ready");
    tally.waitForAll();
    int status = tally.conclude();
    consumer.close();
    return status;
  }

  int push() throws Exception {
    Tally tally = new Tally();
    PushConsumer consumer = provider.newPushConsumerBuilder()
        .setClientConfiguration(configuration())
        .setConsumerGroup(options.get("group"))
        .setSubscriptionExpressions(subscription())
        .setMessageListener(listener(tally))
        .build();
    // The client asks for its queues one second after its start and polls them from then on.
    Thread.sleep(2000);
    report("ready");
    tally.waitForAll();
    int status = tally.conclude();
    consumer.close();
    return status;
  }

  int simple() throws Exception {
    Tally tally = new Tally();
    SimpleConsumer consumer = provider.newSimpleConsumerBuilder()
        .setClientConfiguration(configuration())
        .setConsumerGroup(options.get("group"))
        .setSubscriptionExpressions(subscription())
        .setAwaitDuration(Duration.ofSeconds(10)) // The client has no default for this one.
        .build();
    report("ready");
    Thread receiver = new Thread(() -> receive(consumer, tally));
    receiver.setDaemon(true);
    receiver.start();
    tally.waitForAll();
    int status = tally.conclude();
    consumer.close();
    return status;
  }

  /** How long a simple consumer puts off what it fails. */
  static final Duration PUT_OFF = Duration.ofSeconds(2);

  void receive(SimpleConsumer consumer, Tally tally) {
    while (!tally.over) {
      try {
        for (MessageView message : consumer.receive(32, Duration.ofSeconds(number("invisible", 30)))) {
          boolean fails = fails(bodyOf(message), message.getDeliveryAttempt());
          if (fails) consumer.changeInvisibleDuration(message, PUT_OFF);
          else consumer.ack(message);
          tally.add(message, fails);
        }
      } catch (ClientException failure) {
        if (!tally.over) report("error", "text", failure.toString());
      }
    }
  }

  boolean fails(String body, int attempt) {
    if (options.containsKey("fail-always")) return true;
    if (!options.containsKey("fail-first-attempt") || attempt > 1) return false;
    return Integer.parseInt(body.substring(body.lastIndexOf('-') + 1)) % number("fail-first-attempt", 1) == 0;
  }

  /** What has come so far, and what is still to come: distinct bodies, or deliveries when every one of them fails. */
  class Tally {
    final Set<String> bodies = new HashSet<>();
    int deliveries;
    volatile boolean over;

    synchronized void add(MessageView message, boolean failed) {
      deliveries++;
      if (!failed) bodies.add(bodyOf(message));
      report("received", "id", message.getMessageId(), "body", bodyOf(message), "attempt", message.getDeliveryAttempt(),
          "result", failed ? "fail" : "ack");
      notifyAll();
    }

    synchronized boolean complete() {
      return (options.containsKey("fail-always") ? deliveries : bodies.size()) >= number("expect", 1);
    }

    synchronized void waitForAll() throws InterruptedException {
      Instant end = Instant.now().plusSeconds(number("timeout", 60));
      while (!complete() && Instant.now().isBefore(end)) wait(100);
      // When all are there, the consumer stays a little, to see whether any comes twice.
      if (complete()) end = Instant.now().plusSeconds(number("linger", 1));
      while (Instant.now().isBefore(end)) wait(100);
    }

    synchronized int conclude() {
      over = true;
      report(complete() ? "done" : "error",
          "text", bodies.size() + " of " + options.get("expect") + " bodies, " + deliveries + " deliveries",
          "bodies", bodies.size(), "deliveries", deliveries, "milliseconds", milliseconds());
      return complete() ? 0 : 1;
    }
  }

  ClientConfiguration configuration() {
    return ClientConfiguration.newBuilder().setEndpoints(options.get("endpoint")).build();
  }

  Map<String, FilterExpression> subscription() {
    FilterExpression expression = options.containsKey("sql")
        ? new FilterExpression(options.get("sql"), FilterExpressionType.SQL92)
        : new FilterExpression(options.getOrDefault("tag", "*"));
    return Stream.of(topics()).collect(Collectors.toMap(topic -> topic, topic -> expression));
  }

  String[] topics() {
    return options.get("topic").split(",");
  }

  int number(String name, int otherwise) {
    return options.containsKey(name) ? Integer.parseInt(options.get(name)) : otherwise;
  }

  long milliseconds() {
    return Duration.between(started, Instant.now()).toMillis();
  }

  static String bodyOf(MessageView message) {
    ByteBuffer body = message.getBody();
    return StandardCharsets.UTF_8.decode(body).toString();
  }

  static synchronized void report(String event, Object... fields) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("event", event);
    for (int i = 0; i < fields.length; i += 2) line.put((String) fields[i], fields[i + 1]);
    System.out.println(line.entrySet().stream()
        .map(field -> quote(field.getKey()) + ":" + json(field.getValue()))
        .collect(Collectors.joining(",", "{", "}")));
  }

  static String json(Object value) {
    return value instanceof Number ? value.toString() : quote(value.toString());
  }

  static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char letter : text.toCharArray()) {
      if (letter == '"' || letter == '\\') quoted.append('\\').append(letter);
      else if (letter < ' ') quoted.append(String.format("\\u%04x", (int) letter));
      else quoted.append(letter);
    }
    return quoted.append('"').toString();
  }
}
