/** What is selected in the Containers scene, down to the files and bits that say it, and why it is so. */
import type { Selection } from '../../store.ts';
import { Call, Image, Layer } from './inspect-made.tsx';
import { Device, Namespace, Packet } from './inspect-net.tsx';
import { Cgroup, Container, Process } from './inspect-runs.tsx';

export default function OfContainer({ selection }: { selection: Selection }) {
  switch (selection.kind) {
    case 'process': return <Process pid={selection.id} host={selection.host} />;
    case 'container': return <Container id={selection.id} />;
    case 'cgroup': return <Cgroup path={selection.id} host={selection.host} />;
    case 'image': return <Image id={selection.id} />;
    case 'layer': return <Layer id={selection.id} />;
    case 'netns': return <Namespace id={selection.id} />;
    case 'device': return <Device id={selection.id} />;
    case 'packet': return <Packet id={selection.id} />;
    case 'call': return <Call id={selection.id} />;
    default: return null;
  }
}
