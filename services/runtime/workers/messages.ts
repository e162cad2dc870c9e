// What a parent and its workers say to each other over the channel between them. Connections of clients travel beside
// the messages, as open sockets; no byte of a client ever does.

/** For each kind of question what is asked and what is answered; a service says what its workers ask each other. */
export type Dialogue = Readonly<Record<string, { readonly question: unknown; readonly answer: unknown }>>;

export type KindOf<D extends Dialogue> = keyof D & string;
export type QuestionOf<D extends Dialogue, K extends KindOf<D> = KindOf<D>> = D[K]['question'];
export type AnswerOf<D extends Dialogue, K extends KindOf<D> = KindOf<D>> = D[K]['answer'];

/** `Work` is what a worker needs to know to begin. */
export type ToWorker<Work, D extends Dialogue> =
  | { readonly say: 'begin'; readonly work: Work }
  /** The socket comes along. */
  | { readonly say: 'connection'; readonly id: number }
  | { readonly say: 'question'; readonly id: number; readonly kind: KindOf<D>; readonly question: QuestionOf<D> }
  /** What the other workers have answered to the question of this one. */
  | { readonly say: 'answers'; readonly id: number; readonly answers: readonly AnswerOf<D>[] };

export type ToParent<D extends Dialogue> =
  /** The program is loaded: tell it what to do. */
  | { readonly say: 'here' }
  /** It takes connections from now on. */
  | { readonly say: 'open' }
  /** Now and then, as a sign of life. Why it should get no requests at the moment, or undefined. */
  | { readonly say: 'state'; readonly unready: string | undefined }
  | { readonly say: 'taken'; readonly id: number }
  | { readonly say: 'closed'; readonly id: number }
  | { readonly say: 'answer'; readonly id: number; readonly answer: AnswerOf<D> }
  /** A question to all other workers. */
  | {
      readonly say: 'ask';
      readonly id: number;
      readonly kind: KindOf<D>;
      readonly question: QuestionOf<D>;
      readonly withinMs: number;
    };
