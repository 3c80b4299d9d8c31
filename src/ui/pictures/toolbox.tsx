/** Commands to start from, by what they are for; below them the processor's instructions, from the table it decodes with. */
import type { InstructionRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { RowsTable, Runnable } from '../parts/parts.tsx';
import css from './pictures.module.css';

const TOOLS: [string, string, string[]][] = [
  ['Virtual machines', 'libvirt and QEMU on the host', ['virsh list --all', 'virsh start tiny', 'virsh console tiny', 'virsh dominfo tiny', 'virsh destroy tiny']],
  ['Containers', 'docker, and what it is made of', ['docker run --name hog -m 64m busybox tail /dev/zero', 'docker run -it busybox sh', 'docker ps -a', 'docker inspect hog', 'docker images']],
  ['Namespaces', 'by hand', ['lsns', 'unshare --pid --fork --mount-proc sh', 'ls -l /proc/self/ns', 'nsenter --help']],
  ['Control groups', 'version 2, as files', ['cat /sys/fs/cgroup/cgroup.controllers', 'mkdir /sys/fs/cgroup/mine', 'cat /sys/fs/cgroup/mine/memory.max', 'dmesg']],
  ['Cluster', 'kubectl to three nodes', ['kubectl get nodes -o wide', 'kubectl create deployment web --image=nginx --replicas=3', 'kubectl get pods -o wide', 'kubectl get events', 'kubectl delete deployment web']],
  ['The host', 'a shell as usual', ['ps aux', 'free -h', 'mount', 'ip addr', 'ls -l /root/uploads']],
];
export function Toolbox() {
  const instructions = useRows<InstructionRow>('instructions');
  return (
    <>
      <div className={css.tools}>{TOOLS.map(([name, what, lines]) => <section key={name}><h3>{name}</h3><small>{what}</small>{lines.map((line) => <Runnable key={line} line={line} />)}</section>)}</div>
      {instructions.length > 0 ? <RowsTable title="Instructions of the processor" rows={instructions} /> : null}
    </>
  );
}
