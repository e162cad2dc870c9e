import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadSettings } from './settings.ts';

const TABLE = { workers: { type: 'number', default: 2, min: 1, max: 9, text: 'How many.' } } as const;
let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'fulmar-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function load(...flags: string[]) {
  let output = '';
  const write = (text: string): void => {
    output += text;
  };
  return {
    loaded: loadSettings(TABLE, { service: 'toy', flags, environment: {}, output: write, error: write }),
    output,
  };
}

describe('the settings of a service at its start', () => {
  test('come from the file that is named, below the flags', () => {
    const path = join(directory, 'good.json');
    writeFileSync(path, '{"workers": 3}');
    expect(load('--config', path).loaded.settings).toEqual({ workers: 3 });
    expect(load('--config', path, '--workers', '4').loaded.settings).toEqual({ workers: 4 });
  });

  test('that cannot be read stop the start with a sentence and code 2', () => {
    const path = join(directory, 'bad.json');
    writeFileSync(path, '{workers');
    expect(load('--config', path).loaded.stop).toBe(2);
    expect(load('--config', path).output).toMatch(
      /bad\.json cannot be read: .* Correct it, or leave out --config\.\n$/,
    );
    expect(load('--config', join(directory, 'none.json')).loaded.stop).toBe(2);
    expect(load('--worker', '1')).toMatchObject({ loaded: { stop: 2 } });
  });

  test('explain themselves when they are asked to', () => {
    const { loaded, output } = load('--help');
    expect(loaded.stop).toBe(0);
    expect(output).toContain('--workers NUMBER');
  });
});
