/** The built-in labs, parsed once; and what starting one means. */
import { BadLab, type Lab, parseLab } from '../../labs/format.ts';
import { openFresh } from '../session/session.ts';
import { get, progressOf, type SceneId, set, setProgress } from '../store.ts';

const sources = import.meta.glob<string>('../../labs/**/*.md', { query: '?raw', import: 'default', eager: true });
let parsed: Lab[] | null = null;
export function labs(): Lab[] {
  parsed ??= Object.keys(sources).sort().flatMap((path) => {
    try {
      return [parseLab(sources[path]!)];
    } catch (error) {
      if (!(error instanceof BadLab)) throw error;
      console.error(`${path}:${error.line}: ${error.message}`);
      return [];
    }
  });
  return parsed;
}
export const labOf = (id: string | null): Lab | null => labs().find((lab) => lab.id === id) ?? null;

/** Scene, and mode of it, of each name that a step may show. */
const PICTURE_OF: Record<string, readonly [SceneId, string?]> = {
  spectrum: ['spectrum'], walk: ['walk'], vms: ['walk'], tlb: ['walk'], exits: ['walk', 'exits'], registers: ['walk', 'registers'],
  containers: ['containers'], cgroups: ['containers', 'cgroups'], processes: ['containers', 'processes'], namespaces: ['containers', 'processes'], overlay: ['containers', 'overlay'],
  images: ['containers', 'images'], network: ['containers', 'network'], calls: ['containers', 'calls'],
  cluster: ['cluster'], pods: ['cluster'], nodes: ['cluster'], decisions: ['cluster'], scores: ['cluster'], filters: ['cluster'], toolbox: ['toolbox'],
};
/** Shows the picture a step names: a scene or one of the views a scene draws. */
export function showStep(lab: Lab, step: number): void {
  const name = lab.steps[step]?.show ?? '';
  const [scene, mode] = PICTURE_OF[name] ?? [];
  if (scene) set((s) => ({ scene, ...(mode ? { mode: { ...s.mode, [scene]: mode } } : {}) }));
}
export async function startLab(id: string): Promise<void> {
  const lab = labOf(id);
  if (!lab) return;
  const sameWorld = get().scenario === lab.scenario && get().seed === lab.seed;
  set({ lab: id, lessonFolded: false });
  setProgress(id, { step: Math.min(progressOf(id).step, lab.steps.length - 1) });
  showStep(lab, progressOf(id).step);
  if (!sameWorld) await openFresh(lab.scenario, lab.seed);
}
