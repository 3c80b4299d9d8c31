import { describe, expect, it } from 'vitest';
import { chainsFor } from '../../../src/engine/userland/kube/proxy.ts';

const service = (name: string, ports: object[], clusterIP = '10.96.1.1') => ({ metadata: { namespace: 'default', name }, spec: { clusterIP, ports } });
const endpoints = (name: string, ips: string[], port = 80): [string, object] => [
  `default/${name}`, { metadata: { namespace: 'default', name }, subsets: ips.length === 0 ? [] : [{ addresses: ips.map((ip) => ({ ip })), ports: [{ port }] }] },
];

describe('kube-proxy', () => {
  it('gives every ready pod its share', () => {
    const { nat } = chainsFor([service('web', [{ port: 80 }])], new Map([endpoints('web', ['10.244.1.2', '10.244.2.2', '10.244.3.2'], 8080)]));
    const to = nat.get('KUBE-SERVICES')![0]!;
    expect(to).toMatchObject({ dst: { is: '10.96.1.1/32' }, dport: { is: '80' }, comment: 'default/web cluster IP' });
    const shares = nat.get(to.target)!;
    expect(shares.map((r) => r.probability)).toEqual([1 / 3, 1 / 2, undefined]);
    expect(shares.map((r) => nat.get(r.target)![0]!.to)).toEqual(['10.244.1.2:8080', '10.244.2.2:8080', '10.244.3.2:8080']);
  });
  it('refuses what has no pods, and passes headless services over', () => {
    const { nat, filter } = chainsFor([service('web', [{ port: 80 }]), service('db', [{ port: 5432 }], 'None')], new Map([endpoints('web', [])]));
    expect([...nat.keys()]).toEqual(['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING']);
    expect(filter.get('KUBE-SERVICES')).toMatchObject([{ target: 'REJECT', comment: 'default/web has no endpoints' }]);
  });
  it('opens node ports', () => {
    const { nat } = chainsFor([service('web', [{ port: 80, nodePort: 30080 }])], new Map([endpoints('web', ['10.244.1.2'])]));
    expect(nat.get('KUBE-NODEPORTS')).toMatchObject([{ dport: { is: '30080' } }]);
    expect(nat.get('KUBE-SERVICES')!.at(-1)).toMatchObject({ dsttype: { is: 'LOCAL' }, target: 'KUBE-NODEPORTS' });
  });
});
