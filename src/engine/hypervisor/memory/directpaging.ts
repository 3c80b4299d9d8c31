/** Direct paging: the guest's own tables are the processor's; paravirt/paging.ts watches over them. All memory is there from the start. */
import type { MemoryWay } from '../vm.ts';
import { backFrame, storedFrame } from './frames.ts';

export const directPaging: MemoryWay = { init: () => {}, frame: storedFrame, back: backFrame, map: () => true, written: () => {} };
