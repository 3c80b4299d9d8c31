/** The programs that the lab's machines run when they boot, until somebody types: what a page needs for its first prompt. */
import { cni } from './containers/cni/table.ts';
import { containerd } from './containers/containerd/containerd.ts';
import { dockerd } from './containers/docker/daemon/dockerd.ts';
import { pause } from './containers/programs/small.ts';
import { runc } from './containers/runc/runc.ts';
import { shim } from './containers/shim/shim.ts';
import { getty } from './init/getty.ts';
import { initProgram } from './init/init.ts';
import { coredns } from './kube/coredns/coredns.ts';
import { flanneld } from './kube/flanneld.ts';
import { kubelet } from './kube/kubelet.ts';
import { netpol } from './kube/netpol/netpol.ts';
import { kubeProxy } from './kube/proxy/proxy.ts';
import type { ProgramTable } from './programs.ts';
import { shell } from './sh/table.ts';
import { sshd } from './ssh/sshd.ts';
import { libvirtd } from './virt/libvirtd/libvirtd.ts';

export const AT_BOOT: ProgramTable = {
  '/usr/sbin/init': initProgram, '/usr/sbin/agetty': getty, ...shell,
  '/usr/bin/containerd': containerd, '/usr/bin/containerd-shim-runc-v2': shim, '/usr/sbin/runc': runc, ...cni, '/usr/sbin/dockerd': dockerd, '/usr/lib/nestbox/images/pause': pause,
  '/usr/bin/kubelet': kubelet, '/usr/bin/kube-proxy': kubeProxy, '/usr/bin/flanneld': flanneld, '/usr/bin/kube-router': netpol, '/usr/lib/nestbox/images/coredns': coredns,
  '/usr/sbin/libvirtd': libvirtd, '/usr/sbin/sshd': sshd,
};
