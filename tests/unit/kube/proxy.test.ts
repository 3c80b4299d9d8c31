import { describe, expect, it } from 'vitest';
import { base32 } from '../../../src/engine/userland/kube/iptables.ts';
import { rulesFor } from '../../../src/engine/userland/kube/proxy/rules.ts';
import { hexOf } from '../../../src/engine/userland/containers/oci.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects as the API has them
type Json = any;

const service = (name: string, ports: object[], more: object = {}): Json => ({ metadata: { namespace: 'default', name }, spec: { clusterIP: '10.96.1.1', ports, ...more } });
const slice = (name: string, ips: [string, string, object?][], port = 80): [string, Json[]] => [
  `default/${name}`, [{ metadata: { namespace: 'default', name: `${name}-x` }, addressType: 'IPv4', ports: [{ name: '', port, protocol: 'TCP' }], endpoints: ips.map(([ip, nodeName, conditions]) => ({ addresses: [ip], nodeName, conditions: { ready: true, ...conditions } })) }],
];
const node = { name: 'node-1', clusterCidr: '10.244.0.0/16' };
const THREE: [string, string][] = [['10.244.1.2', 'node-1'], ['10.244.2.2', 'node-2'], ['10.244.3.2', 'node-3']];
const rules = (services: Json[], slices: [string, Json[]][]) => rulesFor(services, new Map(slices), new Map(), node);

describe('kube-proxy', () => {
  it.each([
    ['default/kubernetes:httpstcp', 'NPX46M4PTMTKRN6Y'], ['kube-system/kube-dns:dns-tcptcp', 'ERIFXISQEP7F7OF4'], ['kube-system/kube-dns:dnsudp', 'TCOU7JCQXEZGVUNU'], ['kube-system/kube-dns:metricstcp', 'JD5MR3NA4I4DYORP'],
  ])('names the chain of %s as every cluster does', (seed, name) => expect(base32(hexOf(seed))).toBe(name));

  it('gives every ready pod its share', () => {
    const { nat } = rules([service('web', [{ port: 80 }])], [slice('web', THREE, 8080)]);
    const to = nat.get('KUBE-SERVICES')![0]!;
    expect(to).toMatchObject({ dst: { is: '10.96.1.1/32' }, dport: { is: '80' }, comment: 'default/web cluster IP' });
    const [masq, ...shares] = nat.get(to.target)!;
    expect(masq).toMatchObject({ target: 'KUBE-MARK-MASQ', src: { is: '10.244.0.0/16', not: true } });
    expect(shares.map((r) => (r.probability as number | undefined)?.toFixed(4))).toEqual(['0.3333', '0.5000', undefined]);
    expect(shares.map((r) => nat.get(r.target)![1]!.to)).toEqual(['10.244.1.2:8080', '10.244.2.2:8080', '10.244.3.2:8080']);
  });
  it('refuses what has no pods, and passes headless and external services over', () => {
    const { nat, filter } = rules([service('web', [{ port: 80 }]), service('db', [{ port: 5432 }], { clusterIP: 'None' }), service('ext', [{ port: 80 }], { type: 'ExternalName' })], []);
    expect([...nat.keys()].filter((c) => /SVC|SEP|EXT/.test(c))).toEqual([]);
    expect(filter.get('KUBE-SERVICES')).toMatchObject([{ target: 'REJECT', comment: 'default/web has no endpoints' }]);
  });
  it('opens node ports, masqueraded', () => {
    const { nat } = rules([service('web', [{ port: 80, nodePort: 30080 }])], [slice('web', THREE)]);
    const [jump] = nat.get('KUBE-NODEPORTS')!;
    expect(jump).toMatchObject({ dport: { is: '30080' } });
    expect(nat.get(jump!.target)!.map((r) => r.target.replace(/-[A-Z0-9]{16}$/, ''))).toEqual(['KUBE-MARK-MASQ', 'KUBE-SVC']);
    expect(nat.get('KUBE-SERVICES')!.at(-1)).toMatchObject({ dsttype: { is: 'LOCAL' }, target: 'KUBE-NODEPORTS' });
  });
  it('keeps outside traffic on the node that it came to, without another source', () => {
    const { nat, filter } = rules([service('web', [{ port: 80, nodePort: 30080 }], { externalTrafficPolicy: 'Local' })], [slice('web', THREE)]);
    const external = nat.get(nat.get('KUBE-NODEPORTS')![0]!.target)!;
    const local = nat.get(external.at(-1)!.target)!;
    expect(external.map((r) => r.target.replace(/-[A-Z0-9]{16}$/, ''))).toEqual(['KUBE-SVC', 'KUBE-MARK-MASQ', 'KUBE-SVC', 'KUBE-SVL']);
    expect(local.map((r) => nat.get(r.target)![1]!.to)).toEqual(['10.244.1.2:80']);
    expect(filter.get('KUBE-EXTERNAL-SERVICES')).toEqual([]);
    const elsewhere = rulesFor([service('web', [{ port: 80, nodePort: 30080 }], { externalTrafficPolicy: 'Local' })], new Map([slice('web', THREE)]), new Map(), { ...node, name: 'node-9' });
    expect(elsewhere.filter.get('KUBE-EXTERNAL-SERVICES')).toMatchObject([{ target: 'DROP', comment: 'default/web has no local endpoints' }]);
  });
  it('remembers clients where the service wants them to stay', () => {
    const { nat } = rules([service('web', [{ port: 80 }], { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } })], [slice('web', THREE)]);
    const chain = nat.get(nat.get('KUBE-SERVICES')![0]!.target)!;
    expect(chain.slice(1, 4).every((r) => (r.recent as Json).op === 'rcheck' && (r.recent as Json).seconds === 60)).toBe(true);
    expect(nat.get(chain.at(-1)!.target)![1]).toMatchObject({ recent: { op: 'set' }, target: 'DNAT' });
  });
  it('sends to those that end while nothing else is ready', () => {
    const { nat } = rules([service('web', [{ port: 80 }])], [slice('web', [['10.244.1.2', 'node-1', { ready: false, serving: true, terminating: true }], ['10.244.2.2', 'node-2', { ready: false }]])]);
    const chain = nat.get(nat.get('KUBE-SERVICES')![0]!.target)!;
    expect(chain.slice(1).map((r) => nat.get(r.target)![1]!.to)).toEqual(['10.244.1.2:80']);
  });
  it('takes external addresses', () => {
    const { nat } = rules([service('web', [{ port: 80 }], { externalIPs: ['192.0.2.7'] })], [slice('web', THREE)]);
    expect(nat.get('KUBE-SERVICES')![1]).toMatchObject({ dst: { is: '192.0.2.7/32' }, comment: 'default/web external IP' });
  });
});
