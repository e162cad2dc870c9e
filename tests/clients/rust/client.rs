//! Drives the published Rust client from the command line; every event is one line of JSON on standard output.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{Message, MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};
use serde_json::{json, Value};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn report(event: Value) {
    println!("{event}");
}

struct Options(HashMap<String, String>);

impl Options {
    fn parse(words: &[String]) -> Result<Self, Failure> {
        let mut values = HashMap::new();
        for pair in words.chunks(2) {
            match pair {
                [name, value] if name.starts_with("--") => values.insert(name[2..].to_string(), value.clone()),
                _ => return Err(format!("an option needs a name and a value, but got {pair:?}").into()),
            };
        }
        Ok(Options(values))
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn text(&self, name: &str) -> Result<&str, Failure> {
        self.optional(name).ok_or_else(|| format!("--{name} is missing").into())
    }

    fn number(&self, name: &str, otherwise: usize) -> Result<usize, Failure> {
        Ok(self.optional(name).map_or(Ok(otherwise), str::parse)?)
    }

    fn seconds(&self, name: &str, otherwise: u64) -> Result<Duration, Failure> {
        Ok(Duration::from_secs_f64(self.optional(name).map_or(Ok(otherwise as f64), str::parse)?))
    }

    fn client(&self) -> Result<ClientOption, Failure> {
        let mut option = ClientOption::default();
        option.set_access_url(self.text("endpoint")?);
        Ok(option)
    }
}

fn body(options: &Options, index: usize) -> Result<String, Failure> {
    Ok(format!("{}-{index}", options.text("prefix")?))
}

fn message(options: &Options, index: usize) -> Result<impl Message, Failure> {
    let mut message = MessageBuilder::builder()
        .set_topic(options.text("topic")?)
        .set_body(body(options, index)?.into_bytes());
    if let Some(tag) = options.optional("tag") {
        message = message.set_tag(tag);
    }
    if let Some(property) = options.optional("property") {
        message = message.set_properties(HashMap::from([(property, index.to_string())]));
    }
    if let Some(group) = options.optional("group-key") {
        message = message.set_message_group(group);
    }
    let delay = options.number("delay", 0)? as i64;
    if delay > 0 {
        // Seconds since 1970, and nothing finer.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
        message = message.set_delivery_timestamp(now + delay);
    }
    Ok(message.build()?)
}

async fn produce(options: Options) -> Result<(), Failure> {
    let mut producer_option = ProducerOption::default();
    producer_option.set_topics(vec![options.text("topic")?]);
    let mut producer = Producer::new(producer_option, options.client()?)?;
    producer.start().await?;
    report(json!({"event": "ready"}));

    let started = Instant::now();
    let count = options.number("count", 1)?;
    // Messages of one group keep their order only when each is sent after the one before it.
    let concurrency = if options.optional("group-key").is_some() { 1 } else { options.number("concurrency", 8)? };
    let batch = options.number("batch", 1)?;
    let options = Arc::new(options);
    let producer = Arc::new(producer);
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = Vec::new();
    for _ in 0..concurrency {
        let (options, producer, next) = (options.clone(), producer.clone(), next.clone());
        senders.push(tokio::spawn(async move {
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= count {
                    return Ok::<(), Failure>(());
                }
                let indices = first..count.min(first + batch);
                let messages = indices.clone().map(|index| message(&options, index)).collect::<Result<_, Failure>>()?;
                let receipts = producer.batch_send(messages).await?;
                for (index, receipt) in indices.zip(receipts) {
                    let body = body(&options, index)?;
                    report(json!({"event": "sent", "id": receipt.message_id(), "body": body}));
                }
            }
        }));
    }
    for sender in senders {
        sender.await??;
    }
    report(json!({"event": "done", "count": count, "milliseconds": started.elapsed().as_millis() as u64}));
    Arc::into_inner(producer).expect("all senders have ended").shutdown().await?;
    Ok(())
}

/// Sends half messages, does with each what `--end` says, and answers what the server asks as `--answer` says.
async fn transact(options: Options) -> Result<(), Failure> {
    let mut producer_option = ProducerOption::default();
    producer_option.set_topics(vec![options.text("topic")?]);
    let answer = options.optional("answer").unwrap_or("unknown").to_string();
    let checker = move |_transaction_id: String, message: MessageView| {
        let body = String::from_utf8_lossy(message.body()).into_owned();
        report(json!({"event": "asked", "id": message.message_id(), "body": body}));
        match answer.as_str() {
            "commit" => TransactionResolution::COMMIT,
            "rollback" => TransactionResolution::ROLLBACK,
            _ => TransactionResolution::UNKNOWN,
        }
    };
    let mut producer = Producer::new_transaction_producer(producer_option, options.client()?, Box::new(checker))?;
    producer.start().await?;
    report(json!({"event": "ready"}));
    let started = Instant::now();
    for index in 0..options.number("count", 1)? {
        let body = format!("{}-{index}", options.text("prefix")?);
        let bytes = body.clone().into_bytes();
        let message = MessageBuilder::transaction_message_builder(options.text("topic")?, bytes).build()?;
        let transaction = producer.send_transaction_message(message).await?;
        report(json!({"event": "sent", "id": transaction.message_id(), "body": body}));
        match options.optional("end") {
            Some("commit") => transaction.commit().await?,
            Some("rollback") => transaction.rollback().await?,
            _ => {}
        }
    }
    report(json!({"event": "done", "milliseconds": started.elapsed().as_millis() as u64}));
    tokio::time::sleep(options.seconds("linger", 1)?).await;
    producer.shutdown().await?;
    Ok(())
}

async fn consume_simply(options: Options) -> Result<(), Failure> {
    let topic = options.text("topic")?;
    let expect = options.number("expect", 1)?;
    let invisible = options.seconds("invisible", 30)?;
    let filter = match options.optional("sql") {
        Some(sql) => FilterExpression::new(FilterType::Sql, sql),
        None => FilterExpression::new(FilterType::Tag, options.optional("tag").unwrap_or("*")),
    };
    let mut consumer_option = SimpleConsumerOption::default();
    consumer_option.set_topics(vec![topic]);
    consumer_option.set_consumer_group(options.text("group")?);
    let mut consumer = SimpleConsumer::new(consumer_option, options.client()?)?;
    consumer.start().await?;
    report(json!({"event": "ready"}));

    let started = Instant::now();
    let mut deadline = started + options.seconds("timeout", 60)?;
    let mut bodies = HashSet::new();
    let mut deliveries = 0;
    loop {
        let receive = consumer.receive_with(topic, &filter, 32, invisible);
        let messages = match tokio::time::timeout_at(deadline.into(), receive).await {
            Err(_) => break,
            Ok(Err(failure)) => {
                report(json!({"event": "error", "text": format!("receive: {failure:?}")}));
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Ok(Ok(messages)) => messages,
        };
        for message in &messages {
            let body = String::from_utf8_lossy(message.body()).into_owned();
            consumer.ack(message).await?;
            deliveries += 1;
            report(json!({
                "event": "received", "id": message.message_id(), "body": body,
                "attempt": message.delivery_attempt(), "result": "ack",
            }));
            // When all are there, the consumer stays a little, to see whether any comes twice.
            if bodies.insert(body) && bodies.len() == expect {
                deadline = Instant::now() + options.seconds("linger", 1)?;
            }
        }
    }
    let all = bodies.len() >= expect;
    report(json!({
        "event": if all { "done" } else { "error" },
        "text": format!("{} of {expect} bodies, {deliveries} deliveries", bodies.len()),
        "bodies": bodies.len(), "deliveries": deliveries, "milliseconds": started.elapsed().as_millis() as u64,
    }));
    consumer.shutdown().await?;
    if all { Ok(()) } else { Err("not all messages came in time".into()) }
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match (words.first().map(String::as_str), Options::parse(words.get(1..).unwrap_or_default())) {
        (_, Err(failure)) => Err(failure),
        (Some("produce"), Ok(options)) => produce(options).await,
        (Some("simple"), Ok(options)) => consume_simply(options).await,
        (Some("transact"), Ok(options)) => transact(options).await,
        (other, _) => Err(format!("the published Rust client has no {other:?}; it has produce, simple and transact").into()),
    };
    if let Err(failure) = result {
        report(json!({"event": "error", "text": format!("{failure:?}")}));
        std::process::exit(1);
    }
}
