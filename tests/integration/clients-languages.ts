// Which official clients there are, what each can do by itself, and what a published client lacks. A cell of the matrix
// is left out only for a reason in `unsupportedByClient`, and the tests count that the two sides add up.

export const kinds = [
  ...(['producer', 'push consumer', 'simple consumer', 'recall', 'priority'] as const),
  ...(['batch', 'put off', 'pull consumer'] as const),
  ...(['lite producer', 'lite push consumer', 'lite simple consumer'] as const),
];
export type Kind = (typeof kinds)[number];

export interface Language {
  readonly name: string;
  /** The client as its registry calls it, in the version that tests/clients pins. */
  readonly client: string;
  /** What the client does when nobody tells it: TLS or plaintext. */
  readonly transport: 'TLS' | 'plaintext';
}

export const allLanguages: readonly Language[] = [
  { name: 'java', client: 'org.apache.rocketmq:rocketmq-client-java 5.2.0', transport: 'TLS' },
  { name: 'go', client: 'github.com/apache/rocketmq-clients/golang/v5 5.1.4', transport: 'TLS' },
  { name: 'python', client: 'rocketmq-python-client 5.1.2', transport: 'plaintext' },
  { name: 'node', client: 'rocketmq-client-nodejs 1.0.8', transport: 'plaintext' },
  { name: 'rust', client: 'rocketmq 5.0.0', transport: 'plaintext' },
];

export interface Unsupported {
  readonly language: string;
  readonly kind: Kind;
  readonly reason: string;
  readonly reference: string;
}

const PULL = 'pull consumer';
const ONE_A_CALL = 'its producer sends one message a call';

export const unsupportedByClient: readonly Unsupported[] = [
  {
    language: 'java',
    kind: 'batch',
    reason: ONE_A_CALL,
    reference: 'https://github.com/apache/rocketmq-clients/tree/java-5.2.0/java/client-apis (its Producer)',
  },
  {
    language: 'go',
    kind: 'batch',
    reason: ONE_A_CALL,
    reference: 'https://pkg.go.dev/github.com/apache/rocketmq-clients/golang/v5@v5.1.4#Producer',
  },
  {
    language: 'python',
    kind: 'batch',
    reason: ONE_A_CALL,
    reference: 'https://github.com/apache/rocketmq-clients/tree/master/python (its Producer, as of 5.1.2)',
  },
  {
    language: 'node',
    kind: 'batch',
    reason: ONE_A_CALL,
    reference: 'https://github.com/apache/rocketmq-clients/tree/master/nodejs (its Producer, as of 1.0.8)',
  },
  {
    language: 'java',
    kind: PULL,
    reason: 'version 5.2.0 has PushConsumer, SimpleConsumer and LitePushConsumer',
    reference: 'https://github.com/apache/rocketmq-clients/tree/java-5.2.0/java/client-apis',
  },
  {
    language: 'go',
    kind: PULL,
    reason: 'version 5.1.4 has PushConsumer, SimpleConsumer and LitePushConsumer',
    reference: 'https://pkg.go.dev/github.com/apache/rocketmq-clients/golang/v5@v5.1.4',
  },
  {
    language: 'python',
    kind: PULL,
    reason: 'version 5.1.2 has push and simple consumers, and the lite ones of both',
    reference: 'https://github.com/apache/rocketmq-clients/tree/master/python (its folder consumer, as of 5.1.2)',
  },
  {
    language: 'node',
    kind: PULL,
    reason: 'version 1.0.8 has PushConsumer, SimpleConsumer and LitePushConsumer',
    reference: 'https://github.com/apache/rocketmq-clients/tree/master/nodejs (its folder consumer, as of 1.0.8)',
  },
  {
    language: 'rust',
    kind: PULL,
    reason: 'the newest published crate has SimpleConsumer only',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/ (its list of structs)',
  },
  {
    language: 'rust',
    kind: 'put off',
    reason: 'its SimpleConsumer has receive and ack, and nothing that changes the invisible duration',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/struct.SimpleConsumer.html',
  },
  {
    language: 'rust',
    kind: 'push consumer',
    reason: 'the newest published crate has Producer and SimpleConsumer, and nothing that calls a listener',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/ (its list of structs)',
  },
  {
    language: 'rust',
    kind: 'recall',
    reason: 'the newest published crate has no call that recalls a message',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/struct.Producer.html',
  },
  {
    language: 'rust',
    kind: 'priority',
    reason: 'the newest published crate has no call that gives a message a priority',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/struct.MessageBuilder.html',
  },
  {
    language: 'rust',
    kind: 'lite producer',
    reason: 'the newest published crate knows no lite topic',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/model/message/struct.MessageBuilder.html',
  },
  {
    language: 'rust',
    kind: 'lite push consumer',
    reason: 'the newest published crate knows no lite topic',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/ (its list of structs)',
  },
  {
    language: 'rust',
    kind: 'lite simple consumer',
    reason: 'the newest published crate knows no lite topic',
    reference: 'https://docs.rs/rocketmq/5.0.0/rocketmq/ (its list of structs)',
  },
  {
    language: 'java',
    kind: 'lite simple consumer',
    reason: 'version 5.2.0 has LitePushConsumer only',
    reference: 'https://github.com/apache/rocketmq-clients/tree/java-5.2.0/java/client-apis',
  },
  {
    language: 'go',
    kind: 'lite simple consumer',
    reason: 'version 5.1.4 has NewLitePushConsumer only',
    reference: 'https://pkg.go.dev/github.com/apache/rocketmq-clients/golang/v5@v5.1.4',
  },
  {
    language: 'node',
    kind: 'lite simple consumer',
    reason: 'version 1.0.8 has LitePushConsumer only',
    reference: 'https://github.com/apache/rocketmq-clients/tree/master/nodejs (its folder consumer, as of 1.0.8)',
  },
];

/** The languages under test: all, or those that FULMAR_MATRIX_LANGUAGES names (`java,go`). */
export const languages: readonly Language[] = allLanguages.filter(({ name }) =>
  (process.env.FULMAR_MATRIX_LANGUAGES ?? name).split(',').includes(name),
);

export function languagesWith(kind: Kind): readonly Language[] {
  return languages.filter(
    ({ name }) => !unsupportedByClient.some((missing) => missing.language === name && missing.kind === kind),
  );
}
