/**
 * The agent that enforces NetworkPolicies on its node, by rules of iptables (kube-router with only its firewall): it follows policies,
 * pods and namespaces and keeps the chains of rules.ts, in which bridged packets are seen too. Source: cloudnativelabs/kube-router.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, writeFile } from '../../lib/files.ts';
import { serverOf } from '../api.ts';
import { commented, type Jump, jump, keep, nothingWritten } from '../iptables.ts';
import { follow } from '../watching.ts';
import { policyChains } from './rules.ts';

const JUMPS: readonly Jump[] = ['FORWARD', 'INPUT', 'OUTPUT'].map((chain) => ({ table: 'filter', chain, rule: { ...commented(`kube-router netpol - ${chain}`), target: `KUBE-ROUTER-${chain}` }, first: true }));

const ours = (chain: string): boolean => /^KUBE-(ROUTER-|POD-FW-|NWPLCY-)/.test(chain);

export function* netpol(argv: readonly string[]): Body {
  const server = yield* serverOf(argv.find((a) => a.startsWith('--kubeconfig='))?.slice(13) ?? '/etc/kubernetes/kubelet.conf');
  if (!server) {
    yield* sys('write', 2, bytes('kube-router: no server in the kubeconfig\n'));
    return 1;
  }
  const state = { dirty: true };
  const changed = (): void => {
    state.dirty = true;
  };
  const agent = 'kube-router/v2.5.0';
  const policies = yield* follow(server, '/apis/networking.k8s.io/v1/networkpolicies', agent, changed);
  const pods = yield* follow(server, '/api/v1/pods', agent, changed);
  const namespaces = yield* follow(server, '/api/v1/namespaces', agent, changed);
  const node = (yield* sys('uname')).nodename;
  // Packets between pods of one node cross a bridge: the rules see them there too.
  yield* attempt(writeFile('/proc/sys/net/bridge/bridge-nf-call-iptables', '1'), undefined);
  let written = nothingWritten();
  for (;;) {
    yield* sys('nanosleep', SECOND);
    if (!state.dirty || !policies.synced || !pods.synced || !namespaces.synced) continue;
    state.dirty = false;
    try {
      yield* keep('filter', policyChains({ policies: [...policies.all.values()], pods: [...pods.all.values()], namespaces: namespaces.all, node, address: '' }), written, ours);
      yield* jump(JUMPS);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* sys('write', 2, bytes(`Failed to run iptables-restore: ${error.message}\n`));
      written = nothingWritten();
      state.dirty = true;
    }
  }
}
