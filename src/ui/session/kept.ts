/** The session kept in this browser's IndexedDB: one record, written as inputs happen. Failing to keep never disturbs. */
import type { Recording } from '../../bridge/protocol.ts';

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('nestbox', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('sessions');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
async function transact<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  try {
    const db = await database();
    return await new Promise((resolve, reject) => {
      const transaction = db.transaction('sessions', mode);
      const request = work(transaction.objectStore('sessions'));
      transaction.oncomplete = () => { db.close(); resolve(request.result); };
      transaction.onabort = transaction.onerror = () => { db.close(); reject(transaction.error); };
    });
  } catch {
    return null;
  }
}
export const keep = (recording: Recording): Promise<unknown> => transact('readwrite', (store) => store.put(recording, 'last'));
export const kept = (): Promise<Recording | null> => transact<Recording>('readonly', (store) => store.get('last') as IDBRequest<Recording>).then((r) => r ?? null);
export const forget = (): Promise<unknown> => transact('readwrite', (store) => store.delete('last'));
