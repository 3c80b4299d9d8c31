/** portmap: ports of the host to ports of the container, by rules in the chains CNI-HOSTPORT-*. Chained after bridge. Source: containernetworking/plugins meta/portmap. */
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { hexOf } from '../oci.ts';
import { CniError, type CniResult, type Invocation, plugin } from './plugin.ts';

interface Mapping {
  hostPort: number;
  containerPort: number;
  protocol: string;
  hostIP?: string;
}

type Conf = Invocation['conf'] & { prevResult?: CniResult; snat?: boolean; runtimeConfig?: { portMappings?: Mapping[] } };
const MARK = 0x2000;
const is = (value: string): { is: string; not: boolean } => ({ is: value, not: false });
const note = (comment: string): { comment: string; modules: string[] } => ({ comment, modules: ['comment'] });
const chainOf = (i: Invocation): string => `CNI-DN-${hexOf(`${i.conf.name}${i.containerId}`).slice(0, 21)}`;

interface Listed {
  name: string;
  rules: { target: string; comment?: string }[];
}

const chains = (): Call<Listed[]> => sys('netlink', { type: 'nf.list', table: 'nat' }) as Call<Listed[]>;
const append = (chain: string, rule: object): Call<object> => sys('netlink', { type: 'nf.append', table: 'nat', chain, rule }) as Call<object>;

export const portmap = plugin('portmap', function* (i) {
  const conf = i.conf as Conf;
  const mappings = (conf.runtimeConfig?.portMappings ?? []).filter((m) => m.hostPort);
  if (i.command === 'DEL') {
    yield* drop(i);
    return null;
  }
  if (!conf.prevResult) throw new CniError(999, 'must be called as chained plugin');
  if (i.command !== 'ADD' || mappings.length === 0) return i.command === 'ADD' ? conf.prevResult : null;
  const address = conf.prevResult.ips?.[0]?.address.split('/')[0];
  if (!address) throw new CniError(999, 'no IP addresses in the result of the plugin before');
  yield* base();
  yield* forward(i, mappings, address);
  return conf.prevResult;
});

/** The chains that all containers share. */
function* base(): Call<void> {
  const there = yield* chains();
  const has = (name: string): boolean => there.some((c) => c.name === name);
  if (!has('CNI-HOSTPORT-SETMARK')) {
    yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain: 'CNI-HOSTPORT-SETMARK' });
    yield* append('CNI-HOSTPORT-SETMARK', { ...note('CNI portfwd masquerade mark'), target: 'MARK', setmark: `${MARK}/${MARK}` });
  }
  if (!has('CNI-HOSTPORT-MASQ')) {
    yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain: 'CNI-HOSTPORT-MASQ' });
    yield* append('CNI-HOSTPORT-MASQ', { mark: is('0x2000/0x2000'), modules: ['mark'], target: 'MASQUERADE' });
    yield* append('POSTROUTING', { ...note('CNI portfwd requiring masquerade'), target: 'CNI-HOSTPORT-MASQ' });
  }
  if (has('CNI-HOSTPORT-DNAT')) return;
  yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain: 'CNI-HOSTPORT-DNAT' });
  for (const chain of ['PREROUTING', 'OUTPUT']) yield* append(chain, { dsttype: is('LOCAL'), modules: ['addrtype'], target: 'CNI-HOSTPORT-DNAT' });
}

function* forward(i: Invocation, mappings: readonly Mapping[], address: string): Call<void> {
  const chain = chainOf(i);
  const comment = `dnat name: "${i.conf.name}" id: "${i.containerId}"`;
  yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain });
  for (const proto of ['tcp', 'udp']) {
    const ports = mappings.filter((m) => m.protocol.toLowerCase() === proto).map((m) => m.hostPort);
    if (ports.length > 0) yield* append('CNI-HOSTPORT-DNAT', { proto: is(proto), comment, modules: ['comment', 'multiport'], dports: is(ports.join(',')), target: chain });
  }
  for (const m of mappings) {
    const proto = m.protocol.toLowerCase();
    const to = { proto: is(proto), modules: [proto], dport: is(String(m.hostPort)), ...(m.hostIP && m.hostIP !== '0.0.0.0' ? { dst: is(`${m.hostIP}/32`) } : {}) };
    for (const src of [`${address}/32`, '127.0.0.1/32']) yield* append(chain, { ...to, src: is(src), target: 'CNI-HOSTPORT-SETMARK' });
    yield* append(chain, { ...to, target: 'DNAT', to: `${address}:${m.containerPort}` });
  }
}

function* drop(i: Invocation): Call<void> {
  const chain = chainOf(i);
  const rules = (yield* chains()).find((c) => c.name === 'CNI-HOSTPORT-DNAT')?.rules ?? [];
  for (let at = rules.length; at > 0; at--) if (rules[at - 1]!.target === chain) yield* attempt(sys('netlink', { type: 'nf.delete', table: 'nat', chain: 'CNI-HOSTPORT-DNAT', at }), null);
  yield* attempt(sys('netlink', { type: 'nf.flush', table: 'nat', chain }), null);
  yield* attempt(sys('netlink', { type: 'nf.delchain', table: 'nat', chain }), null);
}
