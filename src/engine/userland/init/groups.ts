/** Slices that exist, from the tree of control groups, as rows beside the manager's units. Source: systemd.slice(5). */
import { list } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import type { UnitRow } from './control.ts';
import { slicePath } from './slices.ts';
import { plainUnit } from './units.ts';
import { sourceOf, unitPath } from './unitfile.ts';

/** What `systemctl` shows of a unit that nothing is known of. */
export function plainRow(name: string, own: Partial<UnitRow> = {}): UnitRow {
  const unit = plainUnit(name);
  return {
    name, description: name, path: '', active: 'active', sub: 'active', pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', cgroup: '', restarts: 0, restart: 'no', type: '', killMode: unit.killMode, nice: 0, oomScoreAdjust: 0,
    ran: 0, cpu: 0, peak: 0, exec: [], properties: {}, load: 'loaded', stale: false, control: 0, past: [], problem: '', invocation: '', documentation: [], slice: '', triggers: '', next: 0, lastTrigger: 0, ...own,
  };
}

const SPECIAL: readonly string[] = ['man:systemd.special(7)'];

const SLICES: Readonly<Record<string, string>> = { 'machine.slice': 'Virtual Machine and Container Slice', 'system.slice': 'System Slice', 'user.slice': 'User and Session Slice', 'user-0.slice': 'User Slice of UID 0' };

function* slicesBelow(dir: string, out: UnitRow[]): Call<void> {
  for (const { name, type } of yield* list(dir)) {
    if (type !== 'dir' || !name.endsWith('.slice')) continue;
    const path = (yield* unitPath(name)) ?? '';
    const own = path === '' ? undefined : (yield* sourceOf(name, path)).values;
    const said = own?.get('Unit.Description')?.at(-1) ?? SLICES[name] ?? `Slice /${name.replace(/\.slice$/, '').replaceAll('-', '/').replace(/\\x2d/g, '-')}`;
    const settings = Object.fromEntries([...(own ?? [])].filter(([key]) => key.startsWith('Slice.')).map(([key, all]) => [key.slice(6), all.at(-1)!]));
    out.push(plainRow(name, { documentation: /^(machine|system|user)\.slice$/.test(name) ? SPECIAL : name.startsWith('user-') ? ['man:user@.service(5)'] : [], description: said, path, cgroup: slicePath(name), properties: settings }));
    yield* slicesBelow(`${dir}/${name}`, out);
  }
}

/** Slices and scopes that exist, from the cgroup tree. */
export function* groups(): Call<UnitRow[]> {
  const out = [plainRow('init.scope', { description: 'System and Service Manager', sub: 'running', cgroup: '/init.scope', properties: { TasksMax: '15%' }, documentation: ['man:systemd(1)'] }), plainRow('-.slice', { description: 'Root Slice', cgroup: '/', documentation: SPECIAL })];
  yield* slicesBelow('/sys/fs/cgroup', out);
  return out;
}
