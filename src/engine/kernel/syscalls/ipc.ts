/** System V objects. The rules are kernel/ipc.ts. */
import { control, msgget, msgrcv, msgsnd, semget, semop, shmget } from '../ipc.ts';
import type { Handlers } from './handlers.ts';

export const ipcHandlers = {
  shmget,
  shmctl: (kernel, task, id, command) => control(kernel, task, 'shm', id, command),
  msgget,
  msgctl: (kernel, task, id, command) => control(kernel, task, 'msg', id, command),
  msgsnd,
  msgrcv,
  semget,
  semctl: (kernel, task, id, command) => control(kernel, task, 'sem', id, command),
  semop,
} satisfies Partial<Handlers>;
