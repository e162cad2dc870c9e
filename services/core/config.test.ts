import { describe, expect, test } from '@jest/globals';
import { configPathOf, describeSettings, environmentVariableOf, flagOf, readSettings } from './config.ts';
import { parseBytes, parseDuration, showBytes, showDuration } from './quantities.ts';

const TABLE = {
  listen: { type: 'address', default: '0.0.0.0:9876', text: 'Where to listen.' },
  brokerExpiry: { type: 'duration', default: 10_000, min: 1_000, max: 600_000, text: 'Silence until it is dropped.' },
  cacheSize: { type: 'bytes', default: 64 * 2 ** 20, min: 0, max: 2 ** 40, text: 'Memory for it.' },
  peers: { type: 'list', default: [], text: 'The others.' },
  flush: { type: 'choice', default: 'sync', choices: ['sync', 'async'], text: 'When to flush.' },
  embedded: { type: 'switch', default: false, text: 'Alone.' },
  workers: { type: 'number', default: 2, min: 1, max: 64, text: 'How many.' },
} as const;

const read = (sources: { file?: unknown; environment?: Record<string, string>; flags?: string[] }) =>
  readSettings('nameserver', TABLE, { environment: {}, flags: [], ...sources });

describe('settings', () => {
  test('without anything given every setting has its default', () => {
    expect(read({}).value).toEqual({
      listen: '0.0.0.0:9876',
      brokerExpiry: 10_000,
      cacheSize: 67_108_864,
      peers: [],
      flush: 'sync',
      embedded: false,
      workers: 2,
    });
  });

  test('a flag wins over the environment, the environment over the file, the file over the default', () => {
    const sources = {
      file: { brokerExpiry: '20s', workers: 3, flush: 'async' },
      environment: { FULMAR_NAMESERVER_BROKER_EXPIRY: '30s', FULMAR_NAMESERVER_WORKERS: '4' },
      flags: ['--broker-expiry=40s'],
    };
    expect(read(sources).value).toMatchObject({ brokerExpiry: 40_000, workers: 4, flush: 'async', embedded: false });
  });

  test('every type is read from text', () => {
    const flags = [
      '--cache-size',
      '1.5MiB',
      '--peers',
      'a:1, b:2',
      '--embedded',
      '--listen',
      '[::]:80',
      '--workers',
      '64',
    ];
    const expected = { cacheSize: 1_572_864, peers: ['a:1', 'b:2'], embedded: true, listen: '[::]:80', workers: 64 };
    expect(read({ flags }).value).toMatchObject(expected);
    expect(read({ flags: ['--embedded', '--no-embedded'] }).value?.embedded).toBe(false);
    expect(read({ file: { peers: ['x:1'], embedded: true } }).value).toMatchObject({ peers: ['x:1'], embedded: true });
  });

  test.each([
    [{ flags: ['--broker-expire', '3s'] }, 'There is no setting --broker-expire. Did you mean --broker-expiry?'],
    [{ file: { lisen: ':1' } }, 'There is no setting lisen. Did you mean listen?'],
    [
      { environment: { FULMAR_NAMESERVER_FLUSHH: 'sync' } },
      'There is no setting FULMAR_NAMESERVER_FLUSHH. Did you mean FULMAR_NAMESERVER_FLUSH?',
    ],
    [{ flags: ['surprise'] }, 'There is no setting surprise. See --help.'],
    [{ flags: ['--listen'] }, '--listen has no value. Write --listen VALUE.'],
    [{ flags: ['--workers', '65'] }, '--workers is "65". Give a whole number from 1 to 64.'],
    [{ flags: ['--workers', '2.5'] }, '--workers is "2.5". Give a whole number from 1 to 64.'],
    [
      { environment: { FULMAR_NAMESERVER_BROKER_EXPIRY: '10' } },
      'FULMAR_NAMESERVER_BROKER_EXPIRY is "10". Give a time with its unit (500ms, 10s, 5m, 2h, 7d) from 1s to 10m.',
    ],
    [{ file: { flush: 'never' } }, 'flush is "never". Give one of sync, async.'],
    [{ file: [] }, 'The configuration file has to hold one JSON object with a member for each setting.'],
    [{ flags: ['--listen', 'here'] }, '--listen is "here". Give HOST:PORT.'],
  ])('what is wrong is said in a sentence: %j', (sources, sentence) => {
    expect(read(sources as Parameters<typeof read>[0]).fault?.message).toBe(sentence);
  });

  test('variables of other programs and the service links of Kubernetes are no settings', () => {
    const environment = {
      PATH: '/bin',
      FULMAR_ENDPOINT: 'localhost:8081',
      FULMAR_NAMESERVER_CONFIG: '/etc/fulmar.json',
      FULMAR_NAMESERVER_SERVICE_HOST: '10.0.0.1',
      FULMAR_NAMESERVER_SERVICE_PORT_GRPC: '9876',
      FULMAR_NAMESERVER_PORT: 'tcp://10.0.0.1:9876',
      FULMAR_NAMESERVER_PORT_9876_TCP_ADDR: '10.0.0.1',
    };
    expect(read({ environment }).fault).toBeUndefined();
  });

  test('an empty variable counts as none, because Kubernetes makes one of an annotation that is not there', () => {
    const environment = { FULMAR_NAMESERVER_WORKERS: '', FULMAR_NAMESERVER_BROKER_EXPIRY: '' };
    expect(read({ environment }).value).toEqual(read({}).value);
  });

  test('the path of the file comes from the flag, else from the environment', () => {
    const environment = { FULMAR_NAMESERVER_CONFIG: '/a' };
    expect(configPathOf('nameserver', { environment, flags: [] })).toBe('/a');
    expect(configPathOf('nameserver', { environment, flags: ['--config', '/b'] })).toBe('/b');
    expect(configPathOf('nameserver', { environment: {}, flags: ['--config=/c'] })).toBe('/c');
    expect(read({ flags: ['--config', '/b'] }).fault).toBeUndefined();
  });

  test('help names each setting with its flag, its variable, its default and its bounds', () => {
    const help = describeSettings('nameserver', TABLE);
    for (const key of Object.keys(TABLE)) {
      expect(help).toContain(flagOf(key));
      expect(help).toContain(environmentVariableOf('nameserver', key));
    }
    expect(help).toContain('default 10s; takes a time with its unit (500ms, 10s, 5m, 2h, 7d) from 1s to 10m');
  });

  test('quantities are read as they are shown', () => {
    for (const value of [0, 1, 999, 1_000, 90_000, 3_600_000, 604_800_000]) {
      expect(parseDuration(showDuration(value))).toBe(value);
      expect(parseBytes(showBytes(value * 1024))).toBe(value * 1024);
    }
    for (const text of ['', '5', '-1s', 's', '1 week', '1e3s', '0.3ms']) expect(parseDuration(text)).toBeUndefined();
  });
});
