/** Scenes that this version does not have: what will be there, and what already shows part of it. */
import { partsCss } from '../parts/parts.tsx';
import { type SceneId, show } from '../store.ts';
import css from './pictures.module.css';

export const LATER: Partial<Record<SceneId, { what: string; see: SceneId; seeText: string }>> = {
  layers: { what: 'One guest disk write through Type 1, Type 2 and KVM with QEMU, with every switch of mode, address space and process counted from the run.', see: 'walk', seeText: 'Page walk shows the VM exits of KVM with QEMU today' },
  io: { what: 'A packet’s road through an emulated card, virtio, vhost, a passed-through device and SR-IOV; exits per packet; the IOMMU’s tables.', see: 'walk', seeText: 'The exits of the serial port are counted in Page walk today' },
  compare: { what: 'A virtual machine against a container, measured in your own session: start time, memory, density, cost of a system call and a fault.', see: 'containers', seeText: 'Containers and Page walk show each by itself today' },
};
export function Later({ what, see, seeText }: { what: string; see: SceneId; seeText: string }) {
  return (
    <div className={css.later}>
      <h3>Not in this version yet</h3>
      <p>{what}</p>
      <p style={{ margin: '16px 0' }}>{seeText}.</p>
      <button type="button" className={partsCss.button} onClick={() => show(see)}>Go there</button>
    </div>
  );
}
