/** Kubernetes programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { coredns } from './coredns/coredns.ts';
import { flanneld } from './flanneld.ts';
import { kubectl } from './kubectl/kubectl.ts';
import { kubelet } from './kubelet.ts';
import { lab } from './lab.ts';
import { netpol } from './netpol/netpol.ts';
import { kubeProxy } from './proxy/proxy.ts';

export const kube: ProgramTable = { '/usr/bin/kubectl': kubectl, '/usr/bin/kubelet': kubelet, '/usr/bin/lab': lab, '/usr/bin/kube-proxy': kubeProxy, '/usr/bin/flanneld': flanneld, '/usr/bin/kube-router': netpol, '/usr/lib/nestbox/images/coredns': coredns };
