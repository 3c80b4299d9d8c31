/**
 * flanneld: gives the pods of other nodes a way. It takes its node's podCIDR, writes /run/flannel/subnet.env for the CNI plugin, and
 * for every other node sets a route by its address (host-gw), or a route, an ARP and an FDB entry of the VXLAN flannel.1 (vxlan, MTU
 * 1450); it masquerades what leaves the cluster. Source: flannel-io/flannel 0.26 pkg/{subnet/kube,backend,trafficmngr}.
 */
import type { Json } from '../../cluster/types/objects.ts';
import { SysError } from '../../kernel/abi.ts';
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { type Body, type SockAddr, sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt, mkdirAll, readJson, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { api, serverOf } from './api.ts';
import { type Chains, commented, is, jump, keep, not, nothingWritten } from './iptables.ts';
import { follow, type Watched } from './watching.ts';

const VNI = 1;
const PORT = 8472;
const DEV = `flannel.${VNI}`;
const MARK = 'flannel.alpha.coreos.com';

type Backend = 'host-gw' | 'vxlan';

interface Flannel {
  node: string;
  network: string;
  backend: Backend;
  subnet: string;
  /** What was set for other nodes, as text by name. */
  set: Map<string, string>;
}

function* log(line: string): Call<void> {
  yield* attempt(sys('write', 2, bytes(`${line}\n`)), 0);
}

export function* flanneld(argv: readonly string[]): Body {
  const option = (name: string, otherwise: string): string => argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
  const path = option('net-config-path', '/etc/kube-flannel/net-conf.json');
  const server = yield* serverOf(option('kubeconfig', '/etc/kubernetes/kubelet.conf'));
  const conf = yield* readJson<{ Network?: string; Backend?: { Type?: string } }>(path);
  const type = conf?.Backend?.Type ?? 'vxlan';
  const wrong = !server ? 'no server in the kubeconfig' : !conf?.Network ? `failed to read net conf: open ${path}: no such file or directory` : type !== 'host-gw' && type !== 'vxlan' ? `unknown backend type: ${type} (not modelled: others than host-gw and vxlan)` : null;
  if (wrong !== null || !server) {
    yield* log(`Failed to create SubnetManager: error retrieving pod spec: ${wrong}`);
    return 1;
  }
  const f: Flannel = { node: (yield* sys('uname')).nodename, network: conf!.Network!, backend: type as Backend, subnet: '', set: new Map() };
  const own = yield* waitForSubnet(server, f);
  yield* bringUp(server, f, own);
  const state = { dirty: true };
  const nodes = yield* follow(server, '/api/v1/nodes', 'flanneld/v0.26.7', () => {
    state.dirty = true;
  });
  const written = nothingWritten();
  for (;;) {
    if (state.dirty && nodes.synced) {
      state.dirty = false;
      yield* others(f, nodes);
      yield* attempt(rules(f, written), undefined);
    }
    yield* sys('nanosleep', SECOND);
  }
}

/** The node, when the controller manager has given it its pods' addresses. */
function* waitForSubnet(server: SockAddr, f: Flannel): Call<Json> {
  for (let tries = 0; ; tries++) {
    const there = yield* api(server, 'GET', `/api/v1/nodes/${f.node}`);
    const cidr = there && there.status < 400 ? there.body.spec?.podCIDR : undefined;
    if (cidr) {
      f.subnet = cidr;
      return there!.body;
    }
    if (tries % 30 === 0) yield* log(`Failed to acquire lease: node ${JSON.stringify(f.node)} pod cidr not assigned`);
    yield* sys('nanosleep', SECOND / 5);
  }
}

const addressOf = (node: Json): string => (node.status?.addresses ?? []).find((a: Json) => a.type === 'InternalIP')?.address ?? '';
/** "10.244.1.0/24": its first address. */
const firstOf = (cidr: string): string => cidr.split('/')[0]!;
const mtuOf = (f: Flannel): number => (f.backend === 'vxlan' ? 1450 : 1500);

function* bringUp(server: SockAddr, f: Flannel, node: Json): Call<void> {
  const data: Json = {};
  if (f.backend === 'vxlan') {
    const uplink = yield* uplinkOf(addressOf(node));
    yield* attempt(sys('netlink', { type: 'link.add', name: DEV, kind: 'vxlan', id: VNI, port: PORT, src: addressOf(node), link: uplink, learning: false }), null, 'EEXIST');
    yield* sys('netlink', { type: 'link.set', name: DEV, mtu: mtuOf(f), up: true });
    yield* attempt(sys('netlink', { type: 'addr.add', dev: DEV, address: firstOf(f.subnet), prefix: 32 }), null, 'EEXIST');
    const [link] = (yield* sys('netlink', { type: 'link.list', name: DEV })) as LinkInfo[];
    Object.assign(data, { VNI, VtepMAC: link!.mac });
  }
  const annotations = { [`${MARK}/backend-data`]: f.backend === 'vxlan' ? JSON.stringify(data) : 'null', [`${MARK}/backend-type`]: f.backend, [`${MARK}/kube-subnet-manager`]: 'true', [`${MARK}/public-ip`]: addressOf(node) };
  yield* api(server, 'PATCH', `/api/v1/nodes/${f.node}`, { metadata: { annotations } }, 'merge');
  const gateway = firstOf(f.subnet).replace(/\d+$/, '1');
  yield* mkdirAll('/run/flannel');
  yield* writeFile('/run/flannel/subnet.env', `FLANNEL_NETWORK=${f.network}\nFLANNEL_SUBNET=${gateway}/${f.subnet.split('/')[1]}\nFLANNEL_MTU=${mtuOf(f)}\nFLANNEL_IPMASQ=true\n`);
  yield* attempt(writeFile('/proc/sys/net/ipv4/ip_forward', '1'), undefined);
  yield* log(`Wrote subnet file to /run/flannel/subnet.env`);
}

/** The link that has the node's address. */
function* uplinkOf(address: string): Call<string> {
  const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  return links.find((l) => l.addresses.some((a) => a.address === address))?.name ?? 'eth0';
}

interface Peer {
  subnet: string;
  ip: string;
  mac: string;
}

function peerOf(f: Flannel, node: Json): Peer | null {
  const subnet = node.spec?.podCIDR;
  const notes = node.metadata.annotations ?? {};
  const ip = notes[`${MARK}/public-ip`] ?? '';
  if (!subnet || !ip || notes[`${MARK}/backend-type`] !== f.backend) return null;
  let mac = '';
  try {
    mac = f.backend === 'vxlan' ? String(JSON.parse(notes[`${MARK}/backend-data`] ?? '{}').VtepMAC ?? '') : '';
  } catch {
    return null;
  }
  return f.backend === 'vxlan' && mac === '' ? null : { subnet, ip, mac };
}

/** Sets what is new of the other nodes, takes away what is gone. */
function* others(f: Flannel, nodes: Watched): Call<void> {
  const wanted = new Map<string, Peer>();
  for (const [name, node] of nodes.all) {
    const peer = name === f.node ? null : peerOf(f, node);
    if (peer) wanted.set(name, peer);
  }
  for (const [name, said] of [...f.set]) {
    if (JSON.stringify(wanted.get(name)) === said) continue;
    yield* change(f, JSON.parse(said) as Peer, 'del');
    f.set.delete(name);
  }
  for (const [name, peer] of wanted) {
    if (f.set.has(name)) continue;
    yield* change(f, peer, 'add');
    f.set.set(name, JSON.stringify(peer));
  }
}

function* change(f: Flannel, peer: Peer, how: 'add' | 'del'): Call<void> {
  const gone = how === 'del';
  const route = { type: gone ? 'route.del' : 'route.replace', to: peer.subnet };
  try {
    if (f.backend === 'host-gw') {
      yield* sys('netlink', { ...route, via: peer.ip });
      return;
    }
    const vtep = firstOf(peer.subnet);
    yield* attempt(sys('netlink', gone ? { type: 'neigh.del', address: vtep, dev: DEV } : { type: 'neigh.add', address: vtep, dev: DEV, mac: peer.mac }), null);
    yield* attempt(sys('netlink', { type: gone ? 'fdb.del' : 'fdb.add', dev: DEV, mac: peer.mac, dst: peer.ip }), null);
    yield* sys('netlink', { ...route, via: vtep, dev: DEV, onlink: true });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* log(`Failed to ${how} route to ${peer.subnet}: ${error.message}`);
  }
}

/** Between pods nothing is translated; what leaves the cluster gets the node's address. */
function* rules(f: Flannel, written: ReturnType<typeof nothingWritten>): Call<void> {
  const masq = commented('flanneld masq');
  const forward = commented('flanneld forward');
  const nat: Chains = new Map([['FLANNEL-POSTRTG', [
    { ...commented('flanneld masq', 'mark'), mark: is('0x4000/0x4000'), target: 'RETURN' }, { ...masq, src: is(f.subnet), dst: is(f.network), target: 'RETURN' }, { ...masq, src: is(f.network), dst: is(f.subnet), target: 'RETURN' },
    { ...masq, src: not(f.network), dst: is(f.subnet), target: 'RETURN' }, { ...masq, src: is(f.network), dst: not('224.0.0.0/4'), target: 'MASQUERADE', natflags: ['random-fully'] },
    { ...masq, src: not(f.network), dst: is(f.network), target: 'MASQUERADE', natflags: ['random-fully'] },
  ]]]);
  const filter: Chains = new Map([['FLANNEL-FWD', [{ ...forward, src: is(f.network), target: 'ACCEPT' }, { ...forward, dst: is(f.network), target: 'ACCEPT' }]]]);
  const ours = (chain: string): boolean => chain.startsWith('FLANNEL-');
  yield* keep('nat', nat, written, ours);
  yield* keep('filter', filter, written, ours);
  yield* jump([
    { table: 'nat', chain: 'POSTROUTING', rule: { ...masq, target: 'FLANNEL-POSTRTG' }, last: true }, { table: 'filter', chain: 'FORWARD', rule: { ...forward, target: 'FLANNEL-FWD' }, last: true },
  ]);
}
