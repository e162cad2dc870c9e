// Sends one message to Fulmar and receives it again, with the official Rust client (crate `rocketmq`).
//   cargo run --bin snippet -- 127.0.0.1:8081

use std::error::Error;

use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::MessageBuilder;
use rocketmq::{Producer, SimpleConsumer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One address is enough: the Proxy tells the client everything else.
    let mut client = ClientOption::default();
    client.set_access_url(std::env::args().nth(1).unwrap_or("127.0.0.1:8081".into()));

    // A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
    let mut consumer_option = SimpleConsumerOption::default();
    consumer_option.set_topics(vec!["hello-rust"]);
    consumer_option.set_consumer_group("hello-rust-readers");
    let mut consumer = SimpleConsumer::new(consumer_option, client.clone())?;
    consumer.start().await?;

    let mut producer_option = ProducerOption::default();
    producer_option.set_topics(vec!["hello-rust"]);
    let mut producer = Producer::new(producer_option, client)?;
    producer.start().await?;
    let message = MessageBuilder::builder().set_topic("hello-rust").set_body(b"Hello, Fulmar!".to_vec()).build()?;
    let receipt = producer.send(message).await?;
    println!("sent {}", receipt.message_id());

    // A message that is not acknowledged comes again, by default after 15 seconds.
    let everything = FilterExpression::new(FilterType::Tag, "*");
    for message in consumer.receive("hello-rust", &everything).await? {
        println!("received {}", String::from_utf8_lossy(message.body()));
        consumer.ack(&message).await?;
    }

    producer.shutdown().await?;
    consumer.shutdown().await?;
    Ok(())
}
