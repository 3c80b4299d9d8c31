/** The scene of the cluster: its nodes and pods as a map, and beside or below it one of several faces, each in a file of its own. */
import { type ComponentType, lazy, Suspense } from 'react';
import type { ClusterSizeRow, DeploymentRow, NodeRow, PodRow, ServiceRow } from '../../../bridge/rows.ts';
import { GLANCE, useOfRows, useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { Frame } from '../../frame/panel.tsx';
import { Empty, Runnable, RowsTable } from '../../parts/parts.tsx';
import { set, useStore } from '../../store.ts';
import { Decision } from './decision.tsx';
import { Nodes, podId } from './nodes.tsx';

export { podId };

const Large = lazy(() => import('./large.tsx'));

export interface FaceProps { pods: readonly PodRow[]; nodes: readonly NodeRow[]; chosen: string | null }
interface Face {
  id: string;
  name: string;
  /** The map stands above it. */
  map: boolean;
  Face: ComponentType<FaceProps>;
}
const FACES: readonly Face[] = [
  { id: 'scheduler', name: 'Scheduler', map: true, Face: Scheduler },
  { id: 'packing', name: 'Packing', map: false, Face: lazy(() => import('./packing.tsx')) },
  { id: 'workloads', name: 'Workloads', map: true, Face: Workloads },
  { id: 'rollout', name: 'Rollout', map: false, Face: lazy(() => import('./rollout.tsx')) },
  { id: 'roads', name: 'Roads', map: false, Face: lazy(() => import('./road.tsx')) },
  { id: 'volumes', name: 'Volumes', map: false, Face: lazy(() => import('./volumes.tsx')) },
  { id: 'writers', name: 'Who wrote', map: false, Face: lazy(() => import('./writers.tsx')) },
  { id: 'events', name: 'Events', map: false, Face: lazy(() => import('./timeline.tsx')) },
  { id: 'objects', name: 'Objects', map: false, Face: lazy(() => import('./objects.tsx')) },
];
const MODES = FACES.map(({ id, name }) => [id, name] as const);

/** More than this is drawn on a canvas. */
const SMALL = { nodes: 60, pods: 2000 };

export function Cluster() {
  const large = useOfRows<ClusterSizeRow, boolean>('cluster-size', undefined, ([size]) => size !== undefined && (size.nodes > SMALL.nodes || size.pods > SMALL.pods));
  const nodes = useRows<NodeRow>('nodes', GLANCE);
  const pods = useRows<PodRow>('pods', GLANCE);
  const mode = useStore((s) => s.mode.cluster ?? 'scheduler');
  const selection = useStore((s) => s.selection);
  const face = FACES.find((one) => one.id === mode) ?? FACES[0]!;
  const newest = large ? undefined : [...pods].filter((pod) => pod.namespace !== 'kube-system').sort((a, b) => b.createdAt - a.createdAt)[0];
  const chosen = selection?.kind === 'pod' && (large || pods.some((pod) => podId(pod) === selection.id)) ? selection.id : newest ? podId(newest) : null;
  const props: FaceProps = { pods, nodes, chosen };
  const below = <Suspense fallback={null}><face.Face {...props} /></Suspense>;
  const head = { title: 'Cluster', modes: MODES, mode: face.id, onMode: (next: string) => set((s) => ({ mode: { ...s.mode, cluster: next } })) };
  const facts = <Size />;
  if (large && face.map) return <Suspense fallback={<Frame {...head} facts={facts}>{null}</Frame>}><Large head={head} facts={facts} chosen={chosen} below={face.id === 'scheduler' ? (chosen ? below : null) : below} /></Suspense>;
  return (
    <Frame {...head} facts={facts} twin={<><RowsTable title="Nodes" rows={nodes} /><RowsTable title="Pods" rows={pods} /></>}>
      {nodes.length === 0 ? <Empty title="This scenario has no cluster" line="kubectl get nodes">Nodes and their pods appear here in a scenario with a cluster, such as lab.</Empty> : (
        <>{face.map ? <Nodes nodes={nodes as NodeRow[]} pods={pods as PodRow[]} chosen={pods.find((pod) => podId(pod) === chosen)} /> : null}{below}</>
      )}
    </Frame>
  );
}

/** By itself: it changes with every pod. */
function Size() {
  const size = useRows<ClusterSizeRow>('cluster-size')[0];
  return <><span><b>{count(size?.nodes ?? 0)}</b> nodes</span><span><b>{count(size?.pods ?? 0)}</b> pods</span><span><b>{count(size?.waiting ?? 0)}</b> waiting</span></>;
}

function Scheduler({ chosen }: FaceProps) {
  if (chosen) return <Decision id={chosen} />;
  return <Empty title="No pod of yours yet" line="kubectl create deployment web --image=nginx --replicas=3">For each pod the scheduler’s decision is shown here: the filters, the scores, the node. On the host:</Empty>;
}

function Workloads() {
  return <><RowsTable title="Deployments" rows={useRows<DeploymentRow>('deployments')} /><RowsTable title="Services" rows={useRows<ServiceRow>('services')} /><div style={{ padding: '0 16px 16px', maxWidth: 480 }}><Runnable line="kubectl get deployments,services -A" /></div></>;
}
