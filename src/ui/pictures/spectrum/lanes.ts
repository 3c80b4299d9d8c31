/** Which machines are laid side by side: the newest run of each technique with the command line of the newest, unless a person chose. */
import type { GuestMarkRow, LaneRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { set, useStore } from '../../store.ts';

export const TECHNIQUES = ['native', 'trap-and-emulate', 'binary-translation', 'paravirt', 'vmx-shadow', 'vmx-ept'] as const;
export type Technique = (typeof TECHNIQUES)[number];

/** `lines`: how the lane of its kernel is drawn. */
export const WORDS: Readonly<Record<string, { name: string; short: string; sub: string; lines: 'solid' | 'hollow' | 'dashed' }>> = {
  native: { name: 'Bare machine', short: 'bare', sub: 'nothing below the kernel', lines: 'solid' },
  'trap-and-emulate': { name: 'Trap and emulate', short: 'T&E', sub: 'shadow paging · kernel deprivileged', lines: 'hollow' },
  'binary-translation': { name: 'Binary translation', short: 'BT', sub: 'shadow paging · same bytes in memory', lines: 'dashed' },
  paravirt: { name: 'Paravirtualization', short: 'PV', sub: 'kernel source changed · ring 1', lines: 'hollow' },
  'vmx-shadow': { name: 'VT-x, shadow paging', short: 'VT-x shadow', sub: 'KVM, ept=off · same bytes run', lines: 'solid' },
  'vmx-ept': { name: 'VT-x with EPT', short: 'VT-x EPT', sub: 'KVM · same bytes run', lines: 'solid' },
};
export const wordsOf = (technique: string) => WORDS[technique] ?? { name: technique, short: technique, sub: '', lines: 'solid' as const };

export const PLACES = ['guest', 'user', 'kernel', 'translated', 'monitor', 'program', 'asleep'] as const;
export type Place = (typeof PLACES)[number];
/** Hue and second sign of each place; `name` stands in legends. */
export const PLACE: Readonly<Record<Place, { name: string; hue: string; pattern: '' | 'hatch' | 'dots' | 'rows' | 'hollow' }>> = {
  guest: { name: 'guest', hue: 'guest-kernel', pattern: '' },
  user: { name: 'guest user, direct', hue: 'guest-user', pattern: '' },
  kernel: { name: 'guest kernel, deprivileged', hue: 'guest-kernel', pattern: 'hollow' },
  translated: { name: 'translated code', hue: 'guest-kernel', pattern: 'rows' },
  monitor: { name: 'hypervisor and crossing', hue: 'hypervisor', pattern: 'hatch' },
  program: { name: 'program of the host', hue: 'host-kernel', pattern: 'dots' },
  asleep: { name: 'asleep', hue: 'ink-3', pattern: 'hollow' },
};

/** What came after the image's name on its command line: with it two runs are of the same work. */
export const commandOf = (lane: LaneRow): string => lane.workload.split(' ').slice(1).join(' ');

export interface Side {
  all: LaneRow[];
  shown: LaneRow[];
  toggle(lane: LaneRow): void;
  /** Stretch between marks. */
  segment: number;
  /** The longest list of stretches among those shown. */
  segments: GuestMarkRow[];
  go(segment: number): void;
}

export function useSide(): Side {
  const all = useRows<LaneRow>('lanes');
  const marks = useRows<GuestMarkRow>('guest-marks');
  const wanted = useStore((s) => s.mode['spectrum.lanes'] ?? '');
  const at = useStore((s) => s.mode['spectrum.segment'] ?? '');
  const newest = all[all.length - 1];
  const chosen = wanted === '' ? [] : all.filter((one) => wanted.split(' ').includes(one.key));
  const own = TECHNIQUES.flatMap((technique) => all.filter((one) => one.technique === technique && newest !== undefined && commandOf(one) === commandOf(newest)).slice(-1));
  const shown = (chosen.length > 0 ? chosen : own).toSorted((a, b) => order(a) - order(b) || a.id - b.id);
  const longest = shown.reduce<GuestMarkRow[]>((best, lane) => {
    const rows = marks.filter((row) => row.id === lane.id && row.host === lane.host);
    return rows.length > best.length ? rows : best;
  }, []);
  // opened: the stretch before the last mark, which is the work where guests mark its end
  const segment = Math.max(0, Math.min(longest.length - 1, at === '' ? (longest.length > 2 ? longest.length - 2 : 0) : Number(at)));
  return {
    all, shown, segment, segments: longest,
    toggle(lane) {
      const now = shown.map((one) => one.key);
      const next = now.includes(lane.key) ? now.filter((key) => key !== lane.key) : [...now, lane.key];
      set((s) => ({ mode: { ...s.mode, 'spectrum.lanes': next.join(' ') } }));
    },
    go: (to) => set((s) => ({ mode: { ...s.mode, 'spectrum.segment': String(to) } })),
  };
}
const order = (lane: LaneRow): number => TECHNIQUES.indexOf(lane.technique as Technique);

export const stretchName = (rows: readonly GuestMarkRow[], segment: number): string => {
  const from = rows[segment]?.value;
  const to = rows[segment + 1]?.value;
  return `${from ? `mark ${from}` : 'power-on'} to ${to ? `mark ${to}` : 'the end'}`;
};
/** Left through the hypervisor's own code, without a trap: a callout of translated code. */
export const isCallout = (event: string): boolean => /^(callout|translat|chain|return lookup|adapt)/i.test(event);
/** It should have left the guest and did not: nobody was told. */
export const isMissed = (event: string): boolean => event.startsWith('no trap');
/** The particulars without the raw number where words follow it. */
export const shortly = (detail: string): string => detail.replace(/(^|; )0x[0-9a-f]+: /, '$1').replace(/shadow: /g, '').replace(/(fault.*); 0x/, '$1 at 0x').replace(/^(INVLPG); 0x/, '$1 of 0x');
