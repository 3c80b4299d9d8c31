/** Kubernetes programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { kubectl } from './kubectl/kubectl.ts';
import { kubelet } from './kubelet.ts';
import { kubeProxy } from './proxy.ts';

export const kube: ProgramTable = { '/usr/bin/kubectl': kubectl, '/usr/bin/kubelet': kubelet, '/usr/bin/kube-proxy': kubeProxy };
