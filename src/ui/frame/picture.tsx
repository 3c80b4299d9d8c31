/** Which scene is drawn: the pictures that are there, and a word about those that are not yet. */
import { lazy, Suspense } from 'react';
import { Cluster } from '../pictures/cluster/cluster.tsx';
import { LATER, Later } from '../pictures/later.tsx';
import { Toolbox } from '../pictures/toolbox.tsx';
import { Walk } from '../pictures/walk.tsx';
import { SCENES, type SceneId, useStore } from '../store.ts';
import { Frame } from './panel.tsx';
import css from './frame.module.css';

const Containers = lazy(() => import('../pictures/containers/containers.tsx'));
const Spectrum = lazy(() => import('../pictures/spectrum/spectrum.tsx'));
export const READY: ReadonlySet<SceneId> = new Set<SceneId>(['spectrum', 'walk', 'containers', 'cluster', 'toolbox']);

export function Picture() {
  const scene = useStore((s) => s.scene);
  const ready = useStore((s) => s.ready);
  if (!ready && scene !== 'toolbox') return <Frame title={SCENES.find((one) => one.id === scene)!.name}><Starting /></Frame>;
  if (scene === 'spectrum') return <Suspense fallback={null}><Spectrum /></Suspense>;
  if (scene === 'walk') return <Walk />;
  if (scene === 'containers') return <Suspense fallback={null}><Containers /></Suspense>;
  if (scene === 'cluster') return <Cluster />;
  const name = SCENES.find((one) => one.id === scene)!.name;
  if (scene === 'toolbox') return <Frame title={name} sub="commands to start from; each runs in the terminal"><Toolbox /></Frame>;
  return <Frame title={name} sub="not in this version yet"><Later {...LATER[scene]!} /></Frame>;
}

/** Until the world is there nothing is claimed about it. */
function Starting() {
  const seeking = useStore((s) => s.seeking);
  return (
    <div className={css.loading} role="status">
      <b>{seeking === null ? 'The lab is starting' : 'Your session is being replayed'}</b>
      <span>{seeking === null ? 'Processor, kernels and cluster are loaded into this tab.' : `${Math.floor(seeking * 100)} %`}</span>
      {seeking === null ? null : <div className={css.bar}><i style={{ width: `${seeking * 100}%` }} /></div>}
    </div>
  );
}
