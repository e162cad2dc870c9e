import { describe, expect, test } from '@jest/globals';
import { lastWords } from './last-words.ts';

describe('a process that cannot start', () => {
  test('says why in a sentence at a terminal, and in one line of JSON elsewhere', () => {
    const written: string[] = [];
    const sentence = 'There is no setting --no. See --help.\n';
    lastWords('broker', true, (text) => written.push(text))(sentence);
    expect(written).toEqual([sentence]);
    lastWords('broker', false, (text) => written.push(text))(sentence);
    expect(written[1]).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(written[1]!)).toMatchObject({
      level: 'error',
      service: 'broker',
      event: 'the process cannot start',
      error: 'There is no setting --no. See --help.',
    });
  });
});
