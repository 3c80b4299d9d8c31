/** One kernel: processes as host and container see them, groups with their walls, layers, images, the network, and what a run is made of. */
import type { CgroupResourceRow, CgroupRow, ContainerRow, HostRow, ImageLayerRow, LayerSharingRow, NamespaceRow, NetworkRow, OomRow, OverlayRow, PacketRow, ProcessRow, RunCallRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Frame } from '../../frame/panel.tsx';
import { Empty, RowsTable } from '../../parts/parts.tsx';
import { set, useStore } from '../../store.ts';
import { Calls } from './calls.tsx';
import { Groups } from './groups.tsx';
import { Images } from './images.tsx';
import { HOST } from './names.ts';
import { Network } from './network.tsx';
import { Namespaces } from './namespaces.tsx';
import { OutOfMemory } from './oom.tsx';
import { Overlay } from './overlay.tsx';
import { Processes } from './processes.tsx';
import css from './containers.module.css';

const MODES = [['all', 'All'], ['processes', 'Namespaces'], ['cgroups', 'Control groups'], ['oom', 'OOM'], ['overlay', 'Overlay'], ['images', 'Images'], ['network', 'Network'], ['calls', 'Calls']] as const;

export default function Containers() {
  const hosts = useRows<HostRow>('hosts');
  const containers = useRows<ContainerRow>('containers', { host: HOST });
  const processes = useRows<ProcessRow>('processes', { host: HOST });
  const cgroups = useRows<CgroupRow>('cgroups', { host: HOST });
  const mode = useStore((s) => s.mode.containers ?? 'all');
  const selection = useStore((s) => s.selection);
  const chosen = containers.find((one) => selection?.kind === 'container' && one.id === selection.id) ?? containers.find((one) => selection?.kind === 'process' && processes.some((p) => String(p.pid) === selection.id && p.container !== '' && one.id.startsWith(p.container)))
    ?? containers.find((one) => one.running) ?? containers[containers.length - 1];
  const machine = hosts.find((one) => one.name === HOST);
  const all = mode === 'all';
  return (
    <Frame title="Containers" modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, containers: next } }))}
      facts={<><span>host <b>{HOST}</b></span><span>one kernel, {containers.filter((one) => one.running).length} of {containers.length} containers run</span></>}
      twin={<Twin mode={mode} chosen={chosen} containers={containers} processes={processes} cgroups={cgroups} />}>
      {containers.length === 0 && (all || mode === 'processes') ? <Empty title="No container has run yet" line="docker run --name hog -m 64m busybox tail /dev/zero">A box with its own view of the processes appears here, its control group in the tree below. On the host:</Empty> : null}
      {all || mode === 'processes' ? <Processes processes={processes} containers={containers} brief={all} chosen={chosen} /> : null}
      {mode === 'processes' ? <Namespaces processes={processes} containers={containers} chosen={chosen} /> : null}
      {all || mode === 'cgroups' ? (
        <div className={all && containers.length > 0 ? css.pair : ''}>
          <Groups cgroups={cgroups} containers={containers} machine={machine} brief={all} />
          {all && containers.length > 0 ? <Overlay chosen={chosen} brief /> : null}
        </div>
      ) : null}
      {mode === 'overlay' ? (containers.length === 0 ? <Empty title="No overlay is mounted" line="docker run -d --name web nginx">A container’s layers stand here one over the other, and what it writes is copied up. On the host:</Empty> : <Overlay chosen={chosen} brief={false} />) : null}
      {mode === 'images' ? <Images /> : null}
      {mode === 'network' ? <Network /> : null}
      {mode === 'oom' ? <OutOfMemory containers={containers} /> : null}
      {mode === 'calls' ? <Calls chosen={chosen} /> : null}
    </Frame>
  );
}

function Twin({ mode, chosen, containers, processes, cgroups }: { mode: string; chosen: ContainerRow | undefined; containers: ContainerRow[]; processes: ProcessRow[]; cgroups: CgroupRow[] }) {
  const selection = useStore((s) => s.selection);
  const is = (...names: string[]): boolean => mode === 'all' || names.includes(mode);
  const overlay = useRows<OverlayRow>(is('overlay') && chosen ? 'overlay' : null, { host: HOST, container: chosen?.id ?? '' });
  const resources = useRows<CgroupResourceRow>(mode === 'cgroups' ? 'cgroup-resources' : null, { host: HOST });
  const namespaces = useRows<NamespaceRow>(mode === 'processes' ? 'namespaces' : null, { host: HOST });
  const ooms = useRows<OomRow>(mode === 'oom' ? 'oom' : null, { host: HOST });
  const calls = useRows<RunCallRow>(mode === 'calls' ? 'run-calls' : null, { host: HOST });
  const network = useRows<NetworkRow>(mode === 'network' ? 'network' : null, { host: HOST });
  const packets = useRows<PacketRow>(mode === 'network' ? 'packets' : null, { host: HOST });
  const layers = useRows<LayerSharingRow>(mode === 'images' ? 'layer-sharing' : null, { host: HOST });
  const image = selection?.kind === 'image' ? selection.id : (layers.find((one) => /nginx|redis/.test(one.tag)) ?? layers[0])?.image;
  const story = useRows<ImageLayerRow>(image ? 'image-layers' : null, { host: HOST, image: image ?? '' });
  return (
    <>
      {is('processes') ? <RowsTable title="Processes" rows={processes} /> : null}
      {mode === 'processes' ? <RowsTable title="Namespaces" rows={namespaces} /> : null}
      {is('cgroups') ? <RowsTable title="Control groups" rows={cgroups} /> : null}
      {mode === 'cgroups' ? <RowsTable title="Processor, disk, pids, pressure" rows={resources} /> : null}
      {is('processes', 'overlay') ? <RowsTable title="Containers" rows={containers} /> : null}
      {is('overlay') ? <RowsTable title="Overlay" rows={overlay} /> : null}
      {mode === 'network' ? <><RowsTable title="Network" rows={network} /><RowsTable title="Packets, step by step" rows={packets} most={1000} /></> : null}
      {mode === 'oom' ? <RowsTable title="Who could have died" rows={ooms} /> : null}
      {mode === 'calls' ? <RowsTable title="Calls that make containers" rows={calls} /> : null}
      {mode === 'images' ? <><RowsTable title="Images and layers" rows={layers} /><RowsTable title="Layers of the image" rows={story} /></> : null}
    </>
  );
}
