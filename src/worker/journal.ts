/**
 * The session kept in this browser's IndexedDB as it happens: every input is appended the moment it is made, in one
 * transaction with the session's head, so that a reload or a crash at any time finds a whole recording. Sessions are
 * told apart by when they began: two tabs keep one each, and the newest few stay.
 */
import type { Input, Recording } from '../bridge/protocol.ts';
import type { Journal } from './server.ts';

const STAY = 5;

/** One row of `sessions`: all of a recording but its inputs, which are rows of `inputs` under [id, index]. */
interface Head {
  id: string;
  scenario: string;
  seed: number;
  until: number;
  count: number;
  /** Real ms: when it began or the newest input was made. */
  at: number;
}

type Work = (sessions: IDBObjectStore, inputs: IDBObjectStore) => void;

/** Opens the store and reads the newest session. Where nothing can be kept, `problem` says why and the rest does nothing. */
export async function openJournal(): Promise<Journal> {
  const pending: Work[] = [];
  let db: IDBDatabase | null = null;
  let busy = false;
  let head: Head | null = null;
  const journal: Journal = {
    last: null, problem: null,
    begin(recording) {
      const at = Date.now();
      const begun: Head = { id: `${at}-${crypto.randomUUID()}`, scenario: recording.scenario, seed: recording.seed, until: recording.until, count: recording.inputs.length, at };
      head = begun;
      later((sessions, inputs) => {
        sessions.put(begun);
        for (const [n, input] of recording.inputs.entries()) inputs.put(input, [begun.id, n]);
        prune(sessions, inputs);
      });
    },
    inputs(from, made, until) {
      if (!head) return;
      const { id, count } = head;
      head = { ...head, until, count: from + made.length, at: Date.now() };
      const written = head;
      later((sessions, inputs) => {
        if (count > from) inputs.delete(IDBKeyRange.bound([id, from], [id, count]));
        for (const [n, input] of made.entries()) inputs.put(input, [id, from + n]);
        sessions.put(written);
      });
    },
    reached(until) {
      if (!head || head.until === until) return;
      head = { ...head, until };
      const written = head;
      later((sessions) => sessions.put(written));
    },
    forget() {
      const gone = head;
      head = null;
      if (gone) later((sessions, inputs) => drop(sessions, inputs, gone.id));
    },
  };

  /** Everything that waits goes into one transaction; the next begins when it is done. */
  function later(work: Work): void {
    pending.push(work);
    if (!busy) flush();
  }

  function flush(): void {
    if (!db || pending.length === 0) return;
    busy = true;
    try {
      const transaction = db.transaction(['sessions', 'inputs'], 'readwrite');
      for (const work of pending.splice(0)) work(transaction.objectStore('sessions'), transaction.objectStore('inputs'));
      transaction.oncomplete = () => {
        busy = false;
        flush();
      };
      transaction.onabort = () => fail(transaction.error);
    } catch (error) {
      fail(error);
    }
  }

  function fail(error: unknown): void {
    journal.problem = `this browser does not keep the session (${error instanceof Error ? error.message : 'its storage refuses'}): download it before you leave`;
    db?.close();
    db = null;
    pending.length = 0;
  }

  try {
    db = await database();
    journal.last = await newest(db);
  } catch (error) {
    fail(error);
  }
  return journal;
}

function prune(sessions: IDBObjectStore, inputs: IDBObjectStore): void {
  answer(sessions.getAll() as IDBRequest<Head[]>, (heads) => {
    for (const old of heads.sort((a, b) => b.at - a.at).slice(STAY)) drop(sessions, inputs, old.id);
  });
}

function drop(sessions: IDBObjectStore, inputs: IDBObjectStore, id: string): void {
  sessions.delete(id);
  inputs.delete(IDBKeyRange.bound([id], [id, Number.POSITIVE_INFINITY]));
}

function answer<T>(request: IDBRequest<T>, use: (value: T) => void): void {
  request.onsuccess = () => use(request.result);
}

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('nestbox', 2);
    request.onupgradeneeded = () => {
      for (const name of [...request.result.objectStoreNames]) request.result.deleteObjectStore(name);
      request.result.createObjectStore('sessions', { keyPath: 'id' });
      request.result.createObjectStore('inputs');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older form of it'));
  });
}

function newest(db: IDBDatabase): Promise<Recording | null> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(['sessions', 'inputs']);
    transaction.onabort = () => reject(transaction.error);
    answer(transaction.objectStore('sessions').getAll() as IDBRequest<Head[]>, (heads) => {
      const head = heads.sort((a, b) => b.at - a.at)[0];
      if (!head) return resolve(null);
      answer(transaction.objectStore('inputs').getAll(IDBKeyRange.bound([head.id], [head.id, Number.POSITIVE_INFINITY])) as IDBRequest<Input[]>, (inputs) =>
        resolve({ nestbox: 1, scenario: head.scenario, seed: head.seed, inputs: inputs.slice(0, head.count), until: head.until }));
    });
  });
}
