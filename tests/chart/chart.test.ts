// The chart, rendered with values of several kinds: what it makes is safe, complete and fits together. That it really
// runs is shown by scripts/test-kubernetes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CHART, helm, ROOT, render } from '../../scripts/chart/helm.ts';
import { SET_BY_CHART, valuesSchema } from '../../scripts/chart/schema.ts';
import { generatedChartFiles } from '../../scripts/chart.ts';
import { type Container, type KubernetesObject, objectsOf, podOf } from './objects.ts';

const EVERYTHING = join(import.meta.dirname, 'everything.yaml');

/** Words of helm, by the name of a way to use the chart. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  dev: ['-f', join(CHART, 'values-dev.yaml')],
  production: ['-f', join(CHART, 'values-production.yaml')],
  everything: ['-f', EVERYTHING],
  'existing secrets': [
    ...['--set', 'tls.clients.mode=existingSecret', '--set', 'tls.clients.existingSecret=clients'],
    ...['--set', 'tls.internal.mode=existingSecret', '--set', 'tls.internal.existingSecret=inside'],
  ],
};

const rendered = new Map(Object.entries(WAYS).map(([name, words]) => [name, objectsOf(...words)]));
const ways = [...rendered];

const containersOf = (object: KubernetesObject): readonly Container[] => podOf(object)?.containers ?? [];
const named = (objects: readonly KubernetesObject[], kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);

describe.each(ways)('rendered with values of the kind "%s"', (_, objects) => {
  const pods = objects.filter((object) => podOf(object) !== undefined);

  test('there is one object of a kind and name, with a name that Kubernetes takes', () => {
    const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
    for (const { metadata } of objects) expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });

  test('every pod keeps to the restricted Pod Security Standard', () => {
    expect(pods.length).toBeGreaterThan(2);
    const allowedVolumes = new Set(['configMap', 'secret', 'emptyDir', 'persistentVolumeClaim', 'projected', 'name']);
    for (const object of pods) {
      const pod = podOf(object)!;
      expect(pod.hostNetwork).toBeUndefined();
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      for (const volume of pod.volumes ?? []) {
        expect(Object.keys(volume).filter((key) => !allowedVolumes.has(key))).toEqual([]);
      }
      for (const { securityContext } of pod.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });

  test('only brokers get a token of Kubernetes', () => {
    for (const object of pods) {
      const isBroker = object.metadata.labels?.['app.kubernetes.io/component'] === 'broker';
      expect([object.metadata.name, podOf(object)!.automountServiceAccountToken]).toEqual([
        object.metadata.name,
        isBroker,
      ]);
    }
  });

  test('every image has a tag that stays, and every container a limit of memory', () => {
    for (const { image, resources } of pods.flatMap(containersOf)) {
      expect(image).toMatch(/:[^:/]+$/);
      expect(image).not.toMatch(/:latest/);
      expect(resources?.limits?.memory).toMatch(/^\d+[MG]i$/);
    }
  });

  test('every service has the three probes, on a port that it has', () => {
    const services = pods.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    for (const container of services.flatMap(containersOf)) {
      const ports = container.ports!.map(({ name }) => name);
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
        expect(ports).toContain(probe!.httpGet!.port);
      }
      expect(container.livenessProbe!.httpGet!.path).not.toBe(container.readinessProbe!.httpGet!.path);
    }
  });

  test('what selects pods selects those of its own role, by labels that no upgrade changes', () => {
    const templates = objects.flatMap(({ spec }) => (spec?.template ? [spec.template.metadata.labels] : []));
    for (const { kind, metadata, spec } of objects) {
      if (!['Service', 'Deployment', 'StatefulSet', 'PodDisruptionBudget'].includes(kind)) continue;
      const selector = kind === 'Service' ? spec!.selector! : spec!.selector!.matchLabels!;
      const allowed = ['name', 'instance', 'component'].map((key) => `app.kubernetes.io/${key}`);
      expect(Object.keys(selector).filter((key) => ![...allowed, 'fulmar/set'].includes(key))).toEqual([]);
      const selected = templates.filter((labels) =>
        Object.entries(selector).every(([key, value]) => labels[key] === value),
      );
      const isOfAll = metadata.name.endsWith('-metrics');
      expect([metadata.name, selected.length > 0 && (isOfAll || selected.length === 1)]).toEqual([metadata.name, true]);
    }
  });

  test('every volume that is mounted is there, and every config map that is used is made', () => {
    for (const object of pods) {
      const pod = podOf(object)!;
      const volumes = new Set((pod.volumes ?? []).map(({ name }) => name));
      if (object.kind === 'StatefulSet' && object.spec!.volumeClaimTemplates !== undefined) volumes.add('data');
      const mounted = pod.containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
      expect(mounted.filter((name) => !volumes.has(name))).toEqual([]);
      for (const { configMap } of pod.volumes ?? []) {
        if (configMap === undefined) continue;
        const { name } = configMap as { readonly name: string };
        expect([name, named(objects, 'ConfigMap', name) !== undefined]).toEqual([name, true]);
      }
    }
  });

  test('the brokers may use the Leases of their own sets, and nothing else', () => {
    const sets = objects.filter(({ kind }) => kind === 'StatefulSet');
    const role = objects.find(({ kind }) => kind === 'Role')!;
    expect(objects.filter(({ kind }) => kind.startsWith('ClusterRole'))).toEqual([]);
    const [making, using] = role.rules!;
    expect(role.rules).toHaveLength(2);
    expect(making).toMatchObject({ resources: ['leases'], verbs: ['create'] });
    expect(using!.resources).toEqual(['leases']);
    expect(using!.verbs).toEqual(['get', 'list', 'watch', 'update']);
    const expected = sets.map((set) => {
      const flags = containersOf(set)[0]!.args;
      const value = (name: string) => flags.find((flag) => flag.startsWith(`--${name}=`))!.split('=')[1];
      return `fulmar.${value('cluster')}.${value('set')}`;
    });
    expect(using!.resourceNames).toEqual(expected);
  });
});

describe('availability', () => {
  test('a single pod has no budget, because that would block the drain of its node', () => {
    expect(rendered.get('dev')!.filter(({ kind }) => kind === 'PodDisruptionBudget')).toEqual([]);
    expect(rendered.get('production')!.filter(({ kind }) => kind === 'PodDisruptionBudget')).toHaveLength(4);
  });

  test('more than half of the replicas have to be in sync', () => {
    for (const [replicas, minimum] of [
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 3],
      [5, 3],
    ] as const) {
      const objects = objectsOf('--set', `brokers.sets[0].name=a,brokers.sets[0].replicas=${replicas}`);
      const set = objects.find(({ kind }) => kind === 'StatefulSet')!;
      expect(containersOf(set)[0]!.args).toContain(`--min-in-sync=${minimum}`);
    }
  });

  test('a proxy has workers only where they are asked for', () => {
    const argsIn = (way: string, name: string): readonly string[] =>
      containersOf(named(rendered.get(way)!, 'Deployment', name)!)[0]!.args!;
    expect(argsIn('everything', 'release-fulmar-proxy')).toContain('--workers=4');
    expect(argsIn('default', 'release-fulmar-proxy').join(' ')).not.toContain('--workers');
  });

  test('with autoscaling nobody but the autoscaler says how many proxies there are', () => {
    const proxy = named(rendered.get('everything')!, 'Deployment', 'release-fulmar-proxy');
    expect(proxy!.spec).not.toHaveProperty('replicas');
  });
});

describe('names', () => {
  test('those of pods stay below 64 letters, whatever release and set are called', () => {
    const long = 'a'.repeat(53);
    const words = ['--set', `brokers.sets[0].name=${'s'.repeat(20)},brokers.sets[0].replicas=3`];
    const objects = render(long, 'somewhere', ...words);
    const names = [...objects.matchAll(/^ {2}name: (\S+)$/gm)].map(([, name]) => name!);
    expect(names.length).toBeGreaterThan(10);
    // A StatefulSet adds a dash and a number, and the hash of its revision in a label.
    for (const name of names) expect(name.length + '-0'.length).toBeLessThan(64);
  });
});

describe('TLS inside', () => {
  test('with it every service is given its certificate, and the secret is made for that', () => {
    const objects = rendered.get('production')!;
    expect(named(objects, 'Secret', 'release-fulmar-internal-tls')!.data).toMatchObject({
      'tls.crt': expect.any(String),
      'tls.key': expect.any(String),
      'ca.crt': expect.any(String),
    });
    const services = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    for (const container of services.flatMap(containersOf)) {
      expect(container.args.join(' ')).toMatch(/tls-cert=\S+ .*tls-key=\S+ .*tls-ca=/);
    }
  });

  test('without it nothing about it is rendered', () => {
    expect(render('release', 'somewhere')).not.toMatch(/internal-tls|tls-ca/);
  });
});

describe('values that make no sense', () => {
  test.each([
    ['image.tag=latest', 'image'],
    ['brokers.sets[0].name=Set_0,brokers.sets[0].replicas=1', 'pattern'],
    ['brokers.sets[0].name=a,brokers.sets[0].replicas=6', '5'],
    ['brokers.config.retentoin=3d', 'retentoin'],
    ['brokers.config.retention=3', 'retention'],
    ['brokers.config.cluster=other', 'cluster'],
    ['proxy.config.edge=apache', 'edge'],
    ['tls.internal.mode=existingSecret', 'needs tls.internal.existingSecret'],
    ['tls.clients.mode=certManager', 'needs tls.clients.issuerRef'],
    ['proxy.ingress.enabled=true', 'needs proxy.ingress.hosts'],
    ['proxy.grpcRoute.enabled=true', 'needs proxy.grpcRoute.parentRefs'],
    ['topics[0].nmae=orders', 'nmae'],
    ['groups[0].name=g,groups[0].backoff[0]=soon', 'backoff'],
    ['anything=else', 'anything'],
  ])('%s is refused', (value, reason) => {
    expect(() => render('release', 'somewhere', '--set', value)).toThrow(reason);
  });
});

describe('what is made from the chart and from tables', () => {
  test.each([...generatedChartFiles()])('%s is what `node scripts/chart.ts` writes', (path, text) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(text);
  });

  test('the schema knows each value of values.yaml, and no other', () => {
    const values = JSON.parse(
      helm('template', 'json', join(import.meta.dirname, 'to-json'), '--set-file', `text=${join(CHART, 'values.yaml')}`)
        .split('\n')
        .find((line) => line.startsWith('{'))!,
    );
    const differences: string[] = [];
    const compare = (where: string, value: unknown, schema: unknown): void => {
      const properties = (schema as { readonly properties?: Record<string, unknown> }).properties;
      if (properties === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return;
      const isConfig = where.endsWith('.config');
      for (const [key, inner] of Object.entries(properties)) {
        if (key === 'global' || isConfig) continue;
        if (!Object.hasOwn(value, key)) differences.push(`${where}.${key} is not in values.yaml`);
        else compare(`${where}.${key}`, (value as Record<string, unknown>)[key], inner);
      }
    };
    compare('', values, valuesSchema());
    expect(differences).toEqual([]);
  });

  test('a setting that only the chart may give is one that the service has', () => {
    expect(Object.keys(SET_BY_CHART)).toEqual(['nameserver', 'broker', 'proxy']);
  });

  test('helm finds nothing wrong', () => {
    for (const words of Object.values(WAYS))
      expect(helm('lint', '--strict', CHART, ...words)).toContain('0 chart(s) failed');
  });
});

describe('the image', () => {
  test('the packages of every service are in it', () => {
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
    const { workspaces } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { workspaces: string[] };
    expect(workspaces).toEqual(['services/*']);
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: object };
    const services = Object.keys(lock.packages).filter((path) => /^services\/[^/]+$/.test(path));
    expect(services.length).toBeGreaterThan(4);
    for (const path of services) expect(dockerfile).toContain(`COPY ${path}/package.json ${path}/`);
  });

  test('the chart, the programs and the image have one version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const chart = readFileSync(join(CHART, 'Chart.yaml'), 'utf8');
    expect(chart).toContain(`\nversion: ${version}\n`);
    expect(chart).toContain(`\nappVersion: ${version}\n`);
  });
});
