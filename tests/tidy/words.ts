// Words that code may not contain, and what to write instead. Patterns are matched against code without its comments
// and strings; marks of unfinished work are looked for everywhere.
import { codeOf } from './blank.ts';
import { at, isOurs, isTest, isWiring, type ProjectFile, typeScriptOf } from './files.ts';

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** What would make a run depend on the moment and the machine, so that no seed could repeat it. */
const OUTSIDE_WORLD: readonly Ban[] = [
  { pattern: /\bDate\.now\b|\bnew Date(?!\s*\(\s*[^)\s])|(?<!new )\bDate\(/g, instead: 'Clock.wallMs' },
  { pattern: /\bperformance\.now\b|\bprocess\.hrtime\b/g, instead: 'Clock.monotonicMs' },
  { pattern: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\s*\(|\bgetRandomValues\b/g, instead: 'Random' },
  { pattern: /(?<!\.)\b(?:setTimeout|setInterval|setImmediate)\b/g, instead: 'Timers.after or Timers.soon' },
  { pattern: /\bAbortSignal\.timeout\b/g, instead: 'Timers.after' },
  { pattern: /\bprocess\.nextTick\b|\bqueueMicrotask\b/g, instead: 'Timers.soon' },
];

const ENVIRONMENT: readonly Ban[] = [
  { pattern: /\bprocess\.env\b/g, instead: 'the configuration that main.ts has read' },
];

const PRINTING: readonly Ban[] = [{ pattern: /\bconsole\s*\./g, instead: 'Logger' }];

const UNTYPED: readonly Ban[] = [
  {
    pattern: /(?:[:<|&,]|=>|\bas|\bextends|\bis)\s*any(?=\s*(?:[[\],;)>|&={}]|$))/gm,
    instead: 'the type itself, or unknown and a check',
  },
  { pattern: /\bas\s+unknown\s+as\b/g, instead: 'a check that narrows the type' },
];

const NOT_RUN: readonly Ban[] = [
  {
    pattern:
      /\b(?:test|it|describe)(?:\.\w+)*\.(?:only|skip|todo|failing|skipIf|runIf)\b|\b[xf](?:it|test|describe)\s*\(/g,
    instead: 'a test that runs, or none',
  },
];

export function outsideWorldViolations(files: readonly ProjectFile[]): string[] {
  const watched = typeScriptOf(files).filter((file) => isShell(file.path) || file.path.startsWith('tests/simulation/'));
  return violations(watched, OUTSIDE_WORLD);
}

export function environmentViolations(files: readonly ProjectFile[]): string[] {
  return violations(
    typeScriptOf(files).filter((file) => isShell(file.path)),
    ENVIRONMENT,
  );
}

/** The command line is there to print. */
export function printingViolations(files: readonly ProjectFile[]): string[] {
  const silent = typeScriptOf(files).filter((file) => isShell(file.path) && !file.path.startsWith('services/cli/'));
  return violations(silent, PRINTING);
}

export function untypedViolations(files: readonly ProjectFile[]): string[] {
  return violations(typeScriptOf(files), UNTYPED);
}

export function notRunViolations(files: readonly ProjectFile[]): string[] {
  return violations(typeScriptOf(files), NOT_RUN);
}

/** The usual marks, put together here so that this file does not contain them. */
const MARKS = new RegExp(
  `\\b(?:${['TO+DO', 'FIX+ME', 'XX+X', 'HA+CK', 'TB+D'].join('|').replaceAll('+', '')})\\b`,
  'g',
);

export function unfinishedViolations(files: readonly ProjectFile[]): string[] {
  return files
    .filter(isOurs)
    .flatMap((file) =>
      [...file.text.matchAll(MARKS)].map((match) =>
        at(file, match.index, `${match[0]}: finish it, or make it an issue`),
      ),
    );
}

/** Shipped code, without the two places that touch the outside world for all others. */
function isShell(path: string): boolean {
  return /^services\/(?!runtime\/)/.test(path) && !isWiring(path) && !isTest(path);
}

function violations(files: readonly ProjectFile[], bans: readonly Ban[]): string[] {
  return files.flatMap((file) => {
    const code = codeOf(file.text);
    return bans.flatMap(({ pattern, instead }) =>
      [...code.matchAll(pattern)].map((match) => at(file, match.index, `${match[0].trim()}: use ${instead}`)),
    );
  });
}
