/** flannel: what flanneld wrote into /run/flannel/subnet.env becomes a configuration of the bridge plugin, which does the work. Source: flannel-io/cni-plugin. */
import { attempt, mkdirAll, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { CniError, type Invocation, invoke, type NetConf, plugin } from './plugin.ts';

const DIR = '/var/lib/cni/flannel';

export const flannel = plugin('flannel', function* (i) {
  const file = String(i.conf.subnetFile ?? '/run/flannel/subnet.env');
  if (i.command === 'ADD') {
    const source = yield* tryRead(file);
    if (source === null) throw new CniError(999, `loadFlannelSubnetEnv failed: open ${file}: no such file or directory`);
    const env = Object.fromEntries(source.split('\n').filter((l) => l.includes('=')).map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)])) as Record<string, string>;
    for (const name of ['FLANNEL_SUBNET', 'FLANNEL_MTU', 'FLANNEL_IPMASQ']) if (!env[name]) throw new CniError(999, `${file} is missing ${name}`);
    const { network } = { network: env.FLANNEL_SUBNET!.replace(/\.\d+\//, '.0/') };
    const delegate: NetConf = {
      cniVersion: i.conf.cniVersion, name: i.conf.name, type: 'bridge', hairpinMode: true, isGateway: true, ...(i.conf.delegate as object | undefined), ipMasq: env.FLANNEL_IPMASQ === 'false' && (i.conf.delegate as { ipMasq?: boolean } | undefined)?.ipMasq === true, mtu: Number(env.FLANNEL_MTU),
      ipam: { type: 'host-local', ranges: [[{ subnet: network }]], routes: [{ dst: env.FLANNEL_NETWORK! }, { dst: '0.0.0.0/0' }] },
    };
    yield* mkdirAll(DIR);
    yield* writeFile(`${DIR}/${i.containerId}`, JSON.stringify(delegate), 0o600);
    return yield* invoke(delegate.type, { ...i, conf: delegate });
  }
  const kept = yield* tryRead(`${DIR}/${i.containerId}`);
  if (kept === null) return null;
  const conf = { ...(JSON.parse(kept) as NetConf), ...(i.conf.prevResult ? { prevResult: i.conf.prevResult } : {}) };
  const again: Invocation = { ...i, conf };
  yield* invoke(conf.type, again);
  if (i.command === 'DEL') yield* attempt(removeAll(`${DIR}/${i.containerId}`), undefined);
  return null;
});
