// Writes the pages of docs/ that repeat what tables in the code say: settings, metrics, errors, promises and their
// tests. `node scripts/docs.ts` rewrites them, and tests/docs.test.ts fails when one is not what it would be written
// as.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { RUN_SETTINGS } from '@fulmar/cli/run-settings.ts';
import { environmentVariableOf, flagOf, type SettingRow, type SettingTable, showDefault } from '@fulmar/core/config.ts';
import { ERRORS, type ErrorName, type RetryBy } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { showBytes, showDuration } from '@fulmar/core/quantities.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';
import { METRICS, type MetricRow, PROCESS_METRICS } from '@fulmar/runtime/metrics-table.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';
import { complaintsPage, rpcsPage } from './promise-pages.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** The generated pages, by their path from the project's root. */
export function generatedPages(): ReadonlyMap<string, string> {
  const sources = readSources();
  return new Map([
    ['docs/configuration.md', configurationPage()],
    ['docs/metrics.md', metricsPage(sources)],
    ['docs/errors.md', errorsPage(sources)],
    ['docs/rpcs.md', rpcsPage()],
    ['docs/complaints.md', complaintsPage()],
  ]);
}

/** The code of the services without tests, by path: what is used there is what the pages call in use. */
function readSources(): ReadonlyMap<string, string> {
  const names = readdirSync(join(ROOT, 'services'), { recursive: true, encoding: 'utf8' });
  const isCode = (name: string): boolean =>
    /\.ts$/.test(name) && !/\.test\.ts$|(^|\/)(testing|node_modules)\/|(^|\/)testing\.ts$/.test(name);
  return new Map(names.filter(isCode).map((name) => [name, readFileSync(join(ROOT, 'services', name), 'utf8')]));
}

/** The files that write `'text'` as a string, other than the table that defines it. */
function usersOf(text: string, sources: ReadonlyMap<string, string>, table: string): string[] {
  return [...sources].filter(([name, code]) => name !== table && code.includes(`'${text}'`)).map(([name]) => name);
}

// --- settings

interface SettingsSection {
  readonly title: string;
  readonly text: string;
  readonly table: SettingTable;
  readonly variable: (key: string) => string;
}

const SETTINGS: readonly SettingsSection[] = [
  {
    title: 'run',
    text:
      '`./scripts/run`, which is the same as `./scripts/fulmar run`: all three services in one process, for a first ' +
      'look and for development. Topics and consumer groups come into being by their first use here. The variables ' +
      'carry no name of a service.',
    table: RUN_SETTINGS,
    variable: (key) => environmentVariableOf('', key),
  },
  {
    title: 'nameserver',
    text: '`./scripts/fulmar nameserver`',
    table: NAMESERVER_SETTINGS,
    variable: (key) => environmentVariableOf('nameserver', key),
  },
  {
    title: 'broker',
    text: '`./scripts/fulmar broker`',
    table: BROKER_SETTINGS,
    variable: (key) => environmentVariableOf('broker', key),
  },
  {
    title: 'proxy',
    text: '`./scripts/fulmar proxy`',
    table: PROXY_SETTINGS,
    variable: (key) => environmentVariableOf('proxy', key),
  },
];

function boundsOf(row: SettingRow): string {
  switch (row.type) {
    case 'number':
      return `${row.min} to ${row.max}`;
    case 'duration':
      return `${showDuration(row.min)} to ${showDuration(row.max)}`;
    case 'bytes':
      return `${showBytes(row.min)} to ${showBytes(row.max)}`;
    case 'choice':
      return row.choices.map(code).join(', ');
    case 'switch':
      return '`true`, `false`';
    default:
      return '';
  }
}

function settingsSection({ title, text, table, variable }: SettingsSection): string {
  const rows = Object.entries(table).map(([key, row]) => {
    const flag = row.type === 'switch' && row.default ? flagOf(key).replace('--', '--no-') : flagOf(key);
    const shown = showDefault(row);
    const value = shown === '(empty)' ? 'empty' : code(shown);
    return [code(flag), code(variable(key)), row.type, value, boundsOf(row), row.text];
  });
  const head = ['flag', 'environment variable', 'type', 'default', 'bounds', 'what it does'];
  return `## ${title}\n\n${text}\n\n${markdownTable(head, rows)}`;
}

function configurationPage(): string {
  const introduction = `# Configuration

Every service has one table of settings. A setting can come from four places; a later one wins:

1. the default,
2. a JSON file: ${code('--config PATH')}, or the variable ${code('FULMAR_NAMESERVER_CONFIG')},
   ${code('FULMAR_BROKER_CONFIG')} or ${code('FULMAR_PROXY_CONFIG')},
3. an environment variable; an empty one counts as none,
4. a flag: ${code('--flag value')} or ${code('--flag=value')}.

In the file a key is the flag in camel case, so ${code('--data-dir')} is ${code('dataDir')}:

    { "dataDir": "/var/lib/fulmar/broker", "retention": "48h", "flush": "sync" }

A setting that does not exist is an error that names the nearest one that does, and so is a value out of bounds. The
service does not start then, and its exit code is 2. Settings are read once, at the start; to change one, restart the
service. ${code('--help')} prints the same tables.

| type | how to write it |
| --- | --- |
| address | ${code('HOST:PORT')}; no host or ${code('0.0.0.0')} is every interface, port 0 any free port |
| bytes | ${code('1000')}, ${code('64KiB')}, ${code('512MiB')}, ${code('10GiB')} |
| choice | one of the words under bounds |
| duration | ${code('500ms')}, ${code('10s')}, ${code('5m')}, ${code('2h')}, ${code('7d')}; a number needs its unit |
| list | values separated by commas; in the file also an array |
| number | a whole number |
| switch | ${code('--flag')} is on, ${code('--no-flag')} is off; elsewhere ${code('true')} or ${code('false')} |
| text | any text |

The \`fulmar\` commands that talk to a cluster have one setting of their own: ${code('FULMAR_ENDPOINT')}, see
[the command line](cli.md).`;
  return `${[GENERATED, introduction, ...SETTINGS.map(settingsSection)].join('\n\n')}\n`;
}

// --- metrics

const FROM: Readonly<Record<string, string>> = {
  runtime: 'every process',
  nameserver: 'NameServer',
  broker: 'Broker',
  proxy: 'Proxy',
};

const number = (value: number): string => value.toLocaleString('en');

const METRICS_TABLE = 'runtime/metrics-table.ts';

function metricRow(row: MetricRow, users: readonly string[]): string[] {
  const services = [...new Set(users.map((name) => name.split('/')[0]!))].map((name) => FROM[name] ?? name);
  const type = row.type === 'sampled' ? 'gauge' : row.type;
  return [code(row.name), type, row.labels.map(code).join(', '), services.join(', '), row.help];
}

function metricsPage(sources: ReadonlyMap<string, string>): string {
  const used = METRICS.map((row) => ({ row, users: usersOf(row.name, sources, METRICS_TABLE) }));
  const reported = used.filter(({ users }) => users.length > 0);
  const silent = used.filter(({ users }) => users.length === 0);
  const introduction = `# Metrics

Each process serves its metrics in the text format of Prometheus at ${code('/metrics')} of its HTTP port:

| process | default address |
| --- | --- |
| ${code('./scripts/run')} | ${code(`${RUN_SETTINGS.host.default}:${RUN_SETTINGS.httpPort.default}`)} (all services) |
| Proxy | ${code(PROXY_SETTINGS.http.default)} |
| Broker | ${code(BROKER_SETTINGS.http.default)} |
| NameServer | ${code(NAMESERVER_SETTINGS.http.default)} |

A look by hand:

    curl -s http://127.0.0.1:8080/metrics

How to scrape, the dashboards and the alerts: [monitoring](monitoring.md).

Names that begin with ${code('rocketmq_')} are those of Apache RocketMQ, with its labels, as its Prometheus exporter
writes them: it appends the unit, so the name is ${code('rocketmq_consumer_lag_latency_milliseconds')}, although the
documentation says ${code('rocketmq_consumer_lag_latency')}. Names that begin with ${code('fulmar_')} are ours. Every
series also has ${code('node_type')} and ${code('node_id')} (of a broker ${code('SET/REPLICA')}, else
${code('HOST:PORT')}), and those of brokers and proxies ${code('cluster')}.
A proxy of several workers tells the series of each of them on one page, with the number of the worker behind the
address: ${code('HOST:PORT/0')}. Sum over ${code('node_id')}; the counters of a worker that was started again
begin at zero, as those of any process do.

## The number of series is bounded

Topics, groups and client versions are names that users choose. Of each metric that has such a label a process tells at
most ${number(LIMITS.metricSeries)} lines; a histogram has a line for each bucket and 3 more, so it has as many fewer
names. What comes later is told together, with ${code('_other')} in place of the name: counters and backlogs add up, and
of waits the longest counts. Groups with the largest backlog come first. How long the oldest message waits is looked up
in the log for ${number(LIMITS.lagLooks)} pairs of group and topic at most; ${code('fulmar lag')} has all.

Names that a process has counted once stay until it restarts, also when the topic is deleted. With 10,000 topics and a
group for each, Proxy and Broker together tell about 20,000 lines, 3.8 MB:
[measurements](measurements.md#metrics).`;
  const head = ['metric', 'type', 'labels', 'from', 'what it is'];
  const table = markdownTable(
    head,
    reported.map(({ row, users }) => metricRow(row, users)),
  );
  const missing = silent.map(({ row }) => `- ${code(row.name)}`).join('\n');
  const rest = silent.length === 0 ? [] : [`## Not reported yet\n\nNamed in the table, never filled:\n\n${missing}`];
  const ofProcess = markdownTable(
    ['metric', 'type', 'what it is'],
    PROCESS_METRICS.map(({ name, type, help }) => [code(name), type, help]),
  );
  const process =
    '## The process\n\nWhat the metrics library tells of each process. There is more of it (`process_...`, ' +
    `\`nodejs_...\`); these are used by our dashboards and alerts.\n\n${ofProcess}`;
  return `${[GENERATED, introduction, `## All metrics\n\n${table}`, process, ...rest].join('\n\n')}\n`;
}

// --- errors

const GRPC_NAMES: Readonly<Record<number, string>> = {
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

const RETRIES: Readonly<Record<RetryBy, string>> = {
  nobody: 'nobody',
  'client-later': 'the client, after a pause',
  'client-elsewhere': 'the client',
  'proxy-once': 'the proxy, once',
};

/** One entry for each error, or the type check fails. */
const WHAT_TO_DO: Readonly<Record<ErrorName, string>> = {
  BAD_REQUEST: 'Correct what the message of the error names.',
  ILLEGAL_ACCESS_POINT: 'Give the client an endpoint of the form HOST:PORT.',
  ILLEGAL_TOPIC: 'Choose another name: letters, digits, "_", "-" and "%", at most 127, not one of the system.',
  ILLEGAL_CONSUMER_GROUP: 'Choose another name: letters, digits, "_", "-" and "%", at most 120, not one of the system.',
  ILLEGAL_MESSAGE_TAG: 'Use a tag without "|" and control characters, at most 128 bytes.',
  ILLEGAL_MESSAGE_KEY: 'Use at most 64 keys, none of them blank, each at most 1,024 bytes.',
  ILLEGAL_MESSAGE_GROUP: 'Use a message group of 1 to 64 characters without control characters.',
  ILLEGAL_MESSAGE_PROPERTY_KEY: 'Rename the property, or take the control characters out of it.',
  INVALID_TRANSACTION_ID:
    'Use the transaction id that the send answered. If it was: the transaction was ended otherwise, or was given up.',
  ILLEGAL_MESSAGE_ID: 'Give the message an id. Official clients do that by themselves.',
  ILLEGAL_FILTER_EXPRESSION: 'Write tags as "a || b", or "*" for everything.',
  ILLEGAL_INVISIBLE_TIME: 'Ask for 1 s to 12 h on a receive, for 0 to 12 h on a change.',
  ILLEGAL_DELIVERY_TIME: 'Choose a delivery time within the limit that the message names.',
  INVALID_RECEIPT_HANDLE:
    'Nothing. The lease is over: the message was settled, or it comes again. Make the handler faster, or the lease ' +
    'longer.',
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: 'Send the message to a topic of its type, with the properties of one type only.',
  UNRECOGNIZED_CLIENT_TYPE: 'Use a client that says what it is. Official clients do.',
  MESSAGE_CORRUPTED: 'Look at what encodes the request. Official clients do not cause this.',
  CLIENT_ID_REQUIRED: 'Send the header x-mq-client-id. Official clients do that by themselves.',
  ILLEGAL_POLLING_TIME: 'Choose a polling time within the limits.',
  ILLEGAL_OFFSET: 'Choose an offset that is kept.',
  ILLEGAL_LITE_TOPIC: 'Use a lite topic name of 1 to 64 characters.',
  UNAUTHORIZED: 'Give the client its credentials.',
  FORBIDDEN: 'Ask for access to this topic or group.',
  NOT_FOUND: 'Look whether what the request names exists.',
  MESSAGE_NOT_FOUND: 'Nothing. It is the answer to a poll in whose time no message came; poll again.',
  TOPIC_NOT_FOUND: 'Create the topic: `fulmar topic create NAME`.',
  CONSUMER_GROUP_NOT_FOUND: 'Create the group: `fulmar group create NAME`.',
  OFFSET_NOT_FOUND: 'Let the group consume before you ask for its offset.',
  PAYLOAD_TOO_LARGE: 'Send the batch in smaller ones, at most 16 MiB each.',
  MESSAGE_BODY_TOO_LARGE: 'Send at most 4 MiB; keep larger content elsewhere and send a reference.',
  MESSAGE_BODY_EMPTY: 'Send at least one byte.',
  PRECONDITION_FAILED: 'What exists contradicts the request; the message says what, and how to go on.',
  TOO_MANY_REQUESTS:
    'Wait and repeat; most official producers do. If it lasts, the message says what is short: often disk space, see ' +
    '[durability](durability.md).',
  LITE_TOPIC_QUOTA_EXCEEDED: 'Let lite topics expire sooner, use fewer of them, or add a broker set.',
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: 'Read fewer lite topics with one consumer, and use more consumers.',
  MESSAGE_PROPERTIES_TOO_LARGE: 'Send at most 128 properties with 16 KiB in all.',
  INTERNAL_SERVER_ERROR: 'Repeat the request. The log of the server has the details; please report it.',
  HA_NOT_AVAILABLE: 'Repeat the request in a second. If it lasts, no broker can be reached: `fulmar cluster status`.',
  NOT_IMPLEMENTED: 'Do without: it is not there yet.',
  PROXY_TIMEOUT: 'Repeat the request: a broker did not answer in time, and the request may or may not have been done.',
  MASTER_PERSISTENCE_TIMEOUT:
    'Repeat the request: the disk failed while it was being written, and it may or may not be stored.',
  SLAVE_PERSISTENCE_TIMEOUT: 'Repeat the request.',
  NOT_MASTER: 'Nothing; clients see HA_NOT_AVAILABLE in its place.',
};

const ERRORS_TABLE = 'core/errors.ts';

function errorsPage(sources: ReadonlyMap<string, string>): string {
  const sorted = (Object.keys(ERRORS) as ErrorName[]).sort((a, b) => ERRORS[a].code - ERRORS[b].code);
  const inUse = sorted.filter((name) => usersOf(name, sources, ERRORS_TABLE).length > 0);
  const rows = inUse.map((name) => {
    const { code: number, grpc, retryBy } = ERRORS[name];
    return [String(number), code(name), GRPC_NAMES[grpc] ?? String(grpc), RETRIES[retryBy], WHAT_TO_DO[name]];
  });
  const reserved = sorted.filter((name) => !inUse.includes(name)).map((name) => `${code(name)} (${ERRORS[name].code})`);
  const introduction = `# Errors

Every answer of the public API carries a status in its body: a code and one sentence that says what to do. The gRPC
status is OK then; official clients judge by the code in the body and show the sentence in their exceptions. The code
for success is 20000. A request with several entries whose results differ has 30000 (MULTIPLE_RESULTS) on top and a
status for each entry.

Calls of ${code('fulmar.v1.Admin')} end with the gRPC status of the table, the sentence as its message, and the code
in the trailer ${code('fulmar-code')}; see [the API](api.md).

Codes never change; sentences may. Do not parse them.

"Who retries" says whose repetition can succeed without a change. Where it says nobody, the same request fails again.
When a send was answered with 50401, 50400 or not at all, nobody knows whether it was stored. Repeat it with the same
message id: within a minute a repetition is recognised and stored once. The official producers do so by themselves,
except Rust's, which repeats nothing.`;
  const head = ['code', 'name', 'gRPC status (Admin)', 'who retries', 'what to do'];
  const parts = [GENERATED, introduction, `## All errors\n\n${markdownTable(head, rows)}`];
  if (reserved.length > 0) {
    parts.push(
      `## Not in use yet\n\nIn the table, but nothing answers with them in this version: ${reserved.join(', ')}.`,
    );
  }
  parts.push(
    '## Rust\n\nThe published Rust crate ends the program on codes that it does not know. Rust clients get an older ' +
      'code of the same kind in their place, for example 41300 for 41302.',
  );
  return `${parts.join('\n\n')}\n`;
}

if (import.meta.main) {
  for (const [path, text] of generatedPages()) writeFileSync(join(ROOT, path), text);
}
