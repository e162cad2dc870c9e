// The pages of docs/ that name tests: what each RPC does, what each client is tested with, and what users of RocketMQ
// have complained about. The tables are in tests/promises; tests/promises.test.ts holds them against the tests.
import { allLanguages, unsupportedByClient } from '../tests/integration/clients-languages.ts';
import { CLIENT_FEATURES, type FeatureRow } from '../tests/promises/client-features.ts';
import { COMPLAINTS } from '../tests/promises/complaints.ts';
import type { Kept } from '../tests/promises/promise.ts';
import { RPCS } from '../tests/promises/rpcs.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

function linkTo({ file, title }: Kept): string {
  return `[${title.replaceAll('*', '\\*')}](../${file})`;
}

const listed = (tests: readonly Kept[]): string => tests.map(linkTo).join('<br>');

export function rpcsPage(): string {
  const introduction = `# RPCs and clients

Every RPC of the newest official protos and the tests that call it, then every official client and the features that it
is tested with. A test fails when an RPC has no row here, or when a row names a test that does not exist.`;
  const services = Object.entries(RPCS).map(([service, rows]) => {
    const cells = rows.map(({ rpc, note, tests }) => [code(rpc), note === '' ? 'yes' : note, listed(tests)]);
    return `## ${service}\n\n${markdownTable(['RPC', 'implemented', 'tested by'], cells)}`;
  });
  return `${[GENERATED, introduction, ...services, clientsSection()].join('\n\n')}\n`;
}

function clientsSection(): string {
  const names = allLanguages.map(({ name }) => name);
  const rows = CLIENT_FEATURES.map((row) => [row.feature, ...names.map((name) => cell(name, row)), linkTo(row.test)]);
  const missing = unsupportedByClient.map(({ language, kind, reason, reference }) => {
    const address = reference.split(' ')[0]!;
    return `- ${language}, ${kind}: ${reason} ([where that stands](${address})).`;
  });
  const packages = allLanguages.map(({ name, client }) => `${name}: ${code(client)}`).join(', ');
  return [
    '## Clients',
    `The newest published packages, unmodified: ${packages}.`,
    markdownTable(['feature', ...names, 'tested by'], rows),
    `What a published client cannot do:\n\n${missing.join('\n')}`,
  ].join('\n\n');
}

function cell(language: string, { needs }: FeatureRow): string {
  const lacks = unsupportedByClient.find((missing) => missing.language === language && needs.includes(missing.kind));
  return lacks === undefined ? 'yes' : `not in the client: ${lacks.kind}`;
}

export function complaintsPage(): string {
  const introduction = `# Complaints

What users of RocketMQ have reported, and the tests whose titles say that it cannot happen here. A test fails when a row
names a test that does not exist. Authentication is not there yet, and so none of the complaints about it.`;
  const sections = Object.entries(COMPLAINTS).map(([title, complaints]) => {
    const rows = complaints.map(({ text, reports, tests }) => [text, reports.map(report).join('<br>'), listed(tests)]);
    return `## ${title}\n\n${markdownTable(['what happened', 'reported in', 'the test that it does not here'], rows)}`;
  });
  return `${[GENERATED, introduction, ...sections].join('\n\n')}\n`;
}

function report(name: string): string {
  const [repository, number] = name.split('#') as [string, string];
  return `[${name}](https://github.com/${repository}/issues/${number})`;
}
