import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { describe, expect, test } from '@jest/globals';
import { refusals } from './refusals.ts';

describe('connections that a port turns away', () => {
  test('are all counted, and told in one line for each reason every ten seconds at most', () => {
    let nowMs = 5;
    const lines: object[] = [];
    const counted: string[] = [];
    const logger = { ...silentLogger, warn: (_event: string, fields: object = {}) => lines.push(fields) };
    const observer = {
      ...silentObserver,
      count: (_name: string, { reason }: { reason?: string }) => counted.push(reason!),
    };
    const refused = refusals(logger, observer, () => nowMs);
    refused({ reason: 'no-plaintext', peer: '10.0.0.1' });
    expect(lines).toEqual([{ reason: 'no-plaintext', peer: '10.0.0.1', count: 1 }]);
    for (let i = 0; i < 1_000; i++) refused({ reason: 'silent', peer: '10.0.0.2' });
    expect(lines).toHaveLength(2);
    nowMs += 9_999;
    refused({ reason: 'silent', peer: '10.0.0.2' });
    refused({ reason: 'no-certificate', peer: '10.0.0.3', detail: 'NO' });
    expect(lines.slice(2)).toEqual([{ reason: 'no-certificate', peer: '10.0.0.3', detail: 'NO', count: 1 }]);
    nowMs += 1;
    refused({ reason: 'silent', peer: '10.0.0.4' });
    expect(lines.slice(3)).toEqual([{ reason: 'silent', peer: '10.0.0.4', count: 1_001 }]);
    expect(counted).toHaveLength(1_004);
  });
});
