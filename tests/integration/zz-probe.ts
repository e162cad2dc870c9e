import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { MessagingClient } from './support/messaging.ts';
import { Administration } from './support/administration.ts';
const mode = process.argv[2] ?? 'send';
const nodeFlags = (process.env.NF ?? '').split(' ').filter(Boolean);
const dir = mkdtempSync('/tmp/mem/d-');
const child = spawn(process.execPath, [...nodeFlags, 'services/cli/main.ts', 'run', '--json', '--no-demo', '--data-dir', dir, ...['--proxy-port','--nameserver-port','--broker-port','--http-port'].flatMap((f)=>[f,'0'])], { stdio: ['ignore','pipe','inherit'], env: process.env });
const line: string = await new Promise((r) => createInterface({ input: child.stdout! }).once('line', r));
const ready = JSON.parse(line);
const ep = `127.0.0.1:${ready.proxy.port}`;
let peak: any = {};
async function mem(label: string) {
  const s = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const g = (n: string) => Math.round(Number(new RegExp(`${n}:\\s+(\\d+)`).exec(s)?.[1]) / 1024);
  const m = await (await fetch(`http://127.0.0.1:${ready.http.port}/metrics`)).text();
  const v = (n: string) => Math.round(Number(new RegExp(`^${n}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(m)?.[1]) / 2 ** 20);
  const now: any = { rss: g('VmRSS'), hwm: g('VmHWM'), anon: g('RssAnon'), heapUsed: v('nodejs_heap_size_used_bytes'), heapTotal: v('nodejs_heap_size_total_bytes'), ext: v('nodejs_external_memory_bytes') };
  for (const k in now) peak[k] = Math.max(peak[k] ?? 0, now[k]);
  if (label) { console.log(label, JSON.stringify(now), 'PEAK', JSON.stringify(peak)); peak = {}; }
}
try {
  const admin = new Administration(ep);
  await admin.createTopic('large'); await admin.createGroup('readers', { fromEarliest: true });
  await mem('start');
  const big = Buffer.alloc(4 * 2 ** 20, 'large ');
  const clients = Array.from({ length: 16 }, () => new MessagingClient(ep));
  const timer = setInterval(() => void mem(''), 250);
  const t0 = performance.now();
  let refused = 0; let got = 0; let dropped = 0;
  const send = () => Promise.all(clients.flatMap((c, of) => Array.from({ length: 4 }, async (_, lane) => {
      for (let i = 0; i < 3;) {
        const code = await c.send('large', [{ messageId: `${of}-${lane}-${i}`, body: big }]).then(([o]) => o!.code, (e) => e.grpcStatus === 8 ? 42900 : (e.code ?? e.grpcStatus));
        if (code === 20000) i++; else { refused++; await new Promise((r) => setTimeout(r, 50)); }
      }
    })));
  const receive = () => Promise.all(clients.map(async (c) => { while (got < 192) { const d = await c.receive({ group: 'readers', topic: 'large', longPollMs: 1000 }).catch(() => { dropped++; return []; }); got += d.length; if (d.length) await c.acknowledge('readers', 'large', d); } }));
  await Promise.all([send().then(() => console.log('sent', Math.round(performance.now() - t0), 'refused', refused)), receive()]);
  console.log('received dropped', dropped,  performance.now() - t0);
  await mem('received');
  await new Promise((r) => setTimeout(r, 3000));
  await mem('rest');
  clearInterval(timer);
  for (const c of clients) c.close(); admin.close();
} finally { child.kill('SIGKILL'); rmSync(dir, { recursive: true, force: true }); }
