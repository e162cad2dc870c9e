// Writes what is made out of the chart and the services' tables: `node scripts/chart.ts`. A test holds the files to
// what is written here. Needs helm.
//   charts/fulmar/values.schema.json   from the tables of settings
//   k8s/fulmar.yaml                    the chart with its default values, for kubectl apply
//   k8s/alerts, k8s/dashboards         copies of charts/fulmar/files
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CHART, ROOT, render } from './chart/helm.ts';
import { valuesSchema } from './chart/schema.ts';

const NAME = 'fulmar';

/** Texts by path. */
export function generatedChartFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['charts/fulmar/values.schema.json', `${JSON.stringify(valuesSchema(), null, 2)}\n`],
    [`k8s/${NAME}.yaml`, manifests()],
    ...copies('alerts'),
    ...copies('dashboards'),
  ]);
}

function manifests(): string {
  // Nobody manages these but whoever applies them.
  // The schema that lies there may be the one before.
  const rendered = render(NAME, NAME, '--no-hooks', '--skip-schema-validation').replaceAll(
    /^ *app\.kubernetes\.io\/managed-by: .*\n/gm,
    '',
  );
  return `# Made by \`node scripts/chart.ts\` from charts/fulmar with its default values. Do not edit.
#   kubectl apply -f k8s/fulmar.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: ${NAME}
  labels:
    pod-security.kubernetes.io/enforce: restricted
${rendered}`;
}

function copies(kind: string): [string, string][] {
  const directory = join(CHART, 'files', kind);
  const names = readdirSync(directory).filter((file) => /\.(yaml|json)$/.test(file));
  return names.map((file) => [`k8s/${kind}/${file}`, readFileSync(join(directory, file), 'utf8')]);
}

if (import.meta.main) {
  for (const [path, text] of generatedChartFiles()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}
