/**
 * CoreDNS: answers questions on port 53 by its Corefile, from what it follows of the API; what is not of the cluster it forwards.
 * Plugins: kubernetes, hosts, forward, cache (of what was forwarded), health, ready, log, errors, reload, loadbalance; rewrite and
 * template are not modelled. Source: coredns.io/plugins 1.11.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { AF_INET, POLLIN, SOCK_DGRAM, SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, type SockAddr, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, tryRead } from '../../lib/files.ts';
import { type Call, listen, reply, serve, thread, writeAll } from '../../lib/http.ts';
import { resolvConf } from '../../net/dns.ts';
import { follow, type Watched } from '../watching.ts';
import { optionOf, parseCorefile, pluginOf, type ServerBlock } from './corefile.ts';
import { address, CODE, type Question, readQuestion, type Reply, TYPE, writeReply } from './message.ts';
import { answer, reverse, type Source, type Zone } from './zone.ts';

interface Server {
  blocks: ServerBlock[];
  source: string;
  services: Watched | null;
  slices: Watched | null;
  namespaces: Watched | null;
  pods: Watched | null;
  bySlice: { version: number; map: Map<string, Json[]> };
  cache: Map<string, { until: number; data: Uint8Array }>;
  turn: number;
}

function* say(line: string): Call<void> {
  yield* attempt(writeAll(1, bytes(`${line}\n`)), undefined);
}

export const coredns: Program = function* (argv, env): Body {
  const path = argv[argv.indexOf('-conf') + 1] ?? 'Corefile';
  const source = (yield* tryRead(path)) ?? '.:53 {\n    whoami\n}\n';
  const s: Server = { blocks: [], source, services: null, slices: null, namespaces: null, pods: null, bySlice: { version: -1, map: new Map() }, cache: new Map(), turn: 0 };
  try {
    s.blocks = parseCorefile(source);
  } catch (error) {
    yield* say((error as Error).message);
    return 1;
  }
  const kubernetes = s.blocks.map((b) => pluginOf(b, 'kubernetes')).find(Boolean);
  if (kubernetes && !(yield* followApi(s, env, optionOf(kubernetes, 'pods')?.[0] === 'verified'))) return 1;
  const ports = [...new Set(s.blocks.map((b) => b.port))];
  for (const port of ports) yield* say(`${s.blocks.find((b) => b.port === port)!.zones[0]}:${port}`);
  yield* say('CoreDNS-1.11.3\nlinux/amd64, go1.21.11, a6338e9');
  yield* thread(() => endpoint(8080, () => 'OK'));
  yield* thread(() => endpoint(8181, () => (ready(s) ? 'OK' : null)));
  yield* thread(() => reload(s, path));
  for (const port of ports) yield* thread(() => overTcp(s, port));
  for (const port of ports.slice(1)) yield* thread(() => overUdp(s, port));
  return (yield* overUdp(s, ports[0] ?? 53)) as number;
};

const ready = (s: Server): boolean => s.services === null || (s.services.synced && s.slices!.synced && s.namespaces!.synced);

function* followApi(s: Server, env: Readonly<Record<string, string>>, verified: boolean): Call<boolean> {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (!host) {
    yield* say('plugin/kubernetes: unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined');
    return false;
  }
  const server: SockAddr = { family: 'inet', address: host, port: Number(env.KUBERNETES_SERVICE_PORT ?? 443) };
  const agent = 'CoreDNS/1.11.3';
  s.services = yield* follow(server, '/api/v1/services', agent);
  s.slices = yield* follow(server, '/apis/discovery.k8s.io/v1/endpointslices', agent);
  s.namespaces = yield* follow(server, '/api/v1/namespaces', agent);
  if (verified) s.pods = yield* follow(server, '/api/v1/pods', agent);
  return true;
}

function* endpoint(port: number, says: () => string | null): Body {
  yield* serve({ family: 'inet', address: '0.0.0.0', port }, function* (exchange) {
    const words = says();
    yield* reply(exchange, words === null ? 503 : 200, words ?? 'kubernetes');
  });
  return 0;
}

/** The file is read again every 30 s; one that is wrong is told and left. */
function* reload(s: Server, path: string): Body {
  for (;;) {
    yield* sys('nanosleep', 30 * SECOND);
    const now = yield* tryRead(path);
    if (now === null || now === s.source || !s.blocks.some((b) => pluginOf(b, 'reload'))) continue;
    try {
      s.blocks = parseCorefile(now);
      s.source = now;
      s.cache.clear();
      yield* say('[INFO] Reloading\n[INFO] Reloading complete');
    } catch (error) {
      yield* say(`[ERROR] Restart failed: ${(error as Error).message}`);
    }
  }
}

function* overUdp(s: Server, port: number): Body {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  yield* sys('bind', fd, { family: 'inet', address: '0.0.0.0', port });
  for (;;) {
    const got = yield* attempt(sys('recvfrom', fd, 65536), null, 'EINTR', 'ECONNREFUSED', 'EHOSTUNREACH');
    if (!got) continue;
    yield* thread(function* (): Body {
      const data = yield* respond(s, got.data, true);
      if (data && got.from) yield* attempt(sys('sendto', fd, data, got.from), 0);
      return 0;
    });
  }
}

function* overTcp(s: Server, port: number): Body {
  const listening = yield* listen({ family: 'inet', address: '0.0.0.0', port });
  for (;;) {
    const taken = yield* attempt(sys('accept4', listening, 0), null);
    if (!taken) continue;
    yield* thread(function* (): Body {
      let held: Uint8Array = new Uint8Array(0);
      for (;;) {
        const data = yield* attempt(sys('read', taken.fd, 4096), new Uint8Array(0));
        if (data.length === 0) break;
        held = joinBytes([held, data]);
        const length = ((held[0] ?? 0) << 8) | (held[1] ?? 0);
        if (held.length < 2 + length) continue;
        const said = yield* respond(s, held.subarray(2, 2 + length), false);
        held = held.subarray(2 + length);
        if (said) yield* attempt(writeAll(taken.fd, joinBytes([Uint8Array.from([said.length >> 8, said.length & 255]), said])), undefined);
      }
      yield* attempt(sys('close', taken.fd), 0);
      return 0;
    });
  }
}

/** Longest zone that the name lies in. */
function blockFor(s: Server, name: string): ServerBlock | undefined {
  const fits = (zone: string): boolean => zone === '.' || name === zone || name.endsWith(`.${zone}`);
  const length = (b: ServerBlock): number => Math.max(...b.zones.filter(fits).map((z) => z.length));
  return s.blocks.filter((b) => b.zones.some(fits)).sort((a, b) => length(b) - length(a))[0];
}

function sourceOf(s: Server): Source {
  if (s.bySlice.version !== s.slices!.version) {
    const map = new Map<string, Json[]>();
    for (const slice of s.slices!.all.values()) {
      const name = slice.metadata.labels?.['kubernetes.io/service-name'];
      if (name) map.set(`${slice.metadata.namespace}/${name}`, [...(map.get(`${slice.metadata.namespace}/${name}`) ?? []), slice]);
    }
    s.bySlice = { version: s.slices!.version, map };
  }
  return { services: s.services!.all, slices: s.bySlice.map, namespaces: s.namespaces!.all, pods: s.pods?.all ?? null };
}

function* respond(s: Server, data: Uint8Array, udp: boolean): Call<Uint8Array | null> {
  const q = readQuestion(data);
  if (!q) return null;
  const block = blockFor(s, q.name);
  const failed = (code: number): Uint8Array => writeReply(q, { code, authoritative: false, answers: [], authority: [], additional: [] }, udp);
  if (!block) return failed(CODE.REFUSED);
  const own = block.plugins.some((p) => p.name === 'kubernetes' || p.name === 'hosts') ? yield* local(s, block, q) : null;
  const said = own ? writeReply(q, turned(s, block, own), udp) : yield* forward(s, block, q, data);
  if (pluginOf(block, 'log')) yield* say(`[INFO] "${typeName(q.type)} IN ${q.asked} ${udp ? 'udp' : 'tcp'} ${data.length} false 512" ${codeName(said ?? failed(CODE.SERVFAIL))} qr,aa,rd ${said?.length ?? 0}`);
  return said ?? failed(CODE.SERVFAIL);
}

const typeName = (type: number): string => Object.entries(TYPE).find(([, n]) => n === type)?.[0] ?? `TYPE${type}`;
const codeName = (data: Uint8Array): string => Object.entries(CODE).find(([, n]) => n === (data[3]! & 15))?.[0] ?? 'SERVFAIL';

/** loadbalance: another address comes first each time. */
function turned(s: Server, block: ServerBlock, r: Reply): Reply {
  if (!pluginOf(block, 'loadbalance') || r.answers.length < 2) return r;
  const by = s.turn++ % r.answers.length;
  return { ...r, answers: [...r.answers.slice(by), ...r.answers.slice(0, by)] };
}

/** From hosts and kubernetes; null when neither knows the zone, or lets fall through what it does not know. */
function* local(s: Server, block: ServerBlock, q: Question): Call<Reply | null> {
  const hosts = pluginOf(block, 'hosts');
  if (hosts && q.type === TYPE.A) {
    const lines = [...hosts.options, ...(hosts.args[0] ? ((yield* tryRead(hosts.args[0])) ?? '').split('\n').map((l) => l.trim().split(/\s+/)) : [])];
    const ips = lines.filter((l) => /^\d+\./.test(l[0] ?? '') && l.slice(1).some((n) => `${n.toLowerCase().replace(/\.$/, '')}.` === q.name)).map((l) => l[0]!);
    if (ips.length > 0) return { code: CODE.NOERROR, authoritative: true, answers: ips.map((ip) => address(q.name, ip, 3600)), authority: [], additional: [] };
  }
  const plugin = pluginOf(block, 'kubernetes');
  if (!plugin || !s.services) return null;
  const zones = plugin.args.map((z) => `${z.replace(/\.$/, '')}.`.toLowerCase());
  const zone = zones.filter((z) => q.name === z || q.name.endsWith(`.${z}`)).sort((a, b) => b.length - a.length)[0];
  if (!zone) return null;
  const main = zones.find((z) => !z.endsWith('arpa.')) ?? 'cluster.local.';
  const settings: Zone = { name: zone.endsWith('arpa.') ? main : zone, ttl: Number(optionOf(plugin, 'ttl')?.[0] ?? 5), pods: (optionOf(plugin, 'pods')?.[0] ?? 'disabled') as Zone['pods'], serial: s.services.version };
  const falls = optionOf(plugin, 'fallthrough');
  if (!ready(s)) return { code: CODE.SERVFAIL, authoritative: false, answers: [], authority: [], additional: [] };
  if (zone.endsWith('arpa.')) return reverse(settings, sourceOf(s), q) ?? (falls ? null : { code: CODE.NXDOMAIN, authoritative: true, answers: [], authority: [], additional: [] });
  const said = answer(settings, sourceOf(s), q);
  const cname = said.answers.find((a) => a.type === TYPE.CNAME);
  if (cname && q.type !== TYPE.CNAME) return yield* chased(s, said, q);
  return said.code === CODE.NXDOMAIN && falls && (falls.length === 0 || falls.some((z) => q.name.endsWith(`${z.replace(/\.$/, '')}.`))) ? null : said;
}

/** The name that an ExternalName leads to is asked for too. */
function* chased(s: Server, said: Reply, q: Question): Call<Reply> {
  const target = nameOf(said.answers[0]!.data);
  const inner: Question = { ...q, name: target, asked: target };
  const block = blockFor(s, target);
  const more = block ? yield* local(s, block, inner) : null;
  return more && more.code === CODE.NOERROR ? { ...said, answers: [...said.answers, ...more.answers] } : said;
}

function nameOf(data: Uint8Array): string {
  let out = '';
  for (let at = 0; data[at]! > 0; at += data[at]! + 1) out += `${String.fromCharCode(...data.subarray(at + 1, at + 1 + data[at]!))}.`;
  return out;
}

/** Asks the servers of `forward`, one after another; what they say is kept for a while. null when none answers. */
function* forward(s: Server, block: ServerBlock, q: Question, data: Uint8Array): Call<Uint8Array | null> {
  const plugin = pluginOf(block, 'forward');
  if (!plugin) return writeReply(q, { code: CODE.REFUSED, authoritative: false, answers: [], authority: [], additional: [] }, true);
  const now = yield* sys('clock_gettime', 'monotonic');
  const key = `${q.name} ${q.type}`;
  const kept = s.cache.get(key);
  if (kept && kept.until > now) return joinBytes([data.subarray(0, 2), kept.data.subarray(2)]);
  const servers = plugin.args.slice(1).some((a) => a.startsWith('/')) ? (yield* resolvConf()).servers : plugin.args.slice(1);
  for (const server of servers.slice(0, 3)) {
    const said = yield* ask(server, data);
    if (!said) {
      yield* say(`[ERROR] plugin/errors: 2 ${q.asked} ${typeName(q.type)}: read udp ->${server}:53: i/o timeout`);
      continue;
    }
    const seconds = Number(pluginOf(block, 'cache')?.args[0] ?? 0);
    if (seconds > 0) s.cache.set(key, { until: now + Math.min(seconds, 30) * SECOND, data: said });
    return said;
  }
  return null;
}

function* ask(server: string, query: Uint8Array): Call<Uint8Array | null> {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    const [host = '', port] = server.replace(/^dns:\/\//, '').split(':');
    yield* sys('connect', fd, { family: 'inet', address: host, port: Number(port ?? 53) });
    yield* sys('sendto', fd, query);
    if ((yield* sys('poll', [{ fd, events: POLLIN }], 2 * SECOND)).length === 0) return null;
    return (yield* sys('recvfrom', fd, 65536)).data;
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  } finally {
    yield* attempt(sys('close', fd), 0);
  }
}
