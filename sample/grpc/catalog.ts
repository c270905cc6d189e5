import type { Order } from "./schema.ts";

/** 2026-03-14T09:26:53.589Z, so that an order looks the same in every run. */
const PLACED_AT = { seconds: "1773480413", nanos: 589_000_000 };

const lamp = {
  sku: "lamp-7",
  title: "Schreibtischlampe „Nordlicht“ 💡",
  category: "CATEGORY_LAMP",
  price: { currencyCode: "EUR", units: "49", nanos: 900_000_000 },
  tags: ["led", "dimmable", "größe M"],
  priceBySize: { S: { currencyCode: "EUR", units: "39" }, M: { currencyCode: "EUR", units: "49", nanos: 900_000_000 } },
  shelfByFloor: { 0: "A-12", [-1]: "storage" },
  attributes: {
    fields: {
      lumen: { numberValue: 806 },
      warranty: { boolValue: true },
      colours: {
        listValue: { values: [{ stringValue: "black" }, { stringValue: "brass" }, { nullValue: "NULL_VALUE" }] },
      },
    },
  },
  deliveryTime: { seconds: "172800", nanos: 500_000_000 },
  rating: { value: 4.5 },
  stockChanges: [12, -3, -1],
  picture: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x00, 0xff]),
  dimensions: { widthMm: 180, heightUm: "-42", weightKg: 1.25, volumeL: 3.5 },
};

/** The one order the shop knows in advance. */
export const knownOrder: Order = {
  id: "order-1",
  state: "ORDER_STATE_PAID",
  lines: [{ product: lamp, quantity: 2 }],
  total: { currencyCode: "EUR", units: "99", nanos: 800_000_000 },
  placedAt: PLACED_AT,
  card: { lastDigits: "4242", expires: { seconds: "1893456000", nanos: 0 } },
  labels: { campaign: "spring", straße: "Hauptstraße 1" },
  note: {
    type_url: "type.googleapis.com/common.Money",
    // common.Money { currency_code: "EUR", units: 5 }: a voucher as a present.
    value: Buffer.from([0x0a, 0x03, 0x45, 0x55, 0x52, 0x10, 0x05]),
  },
  giftMessage: "",
  history: ["ORDER_STATE_PLACED", "ORDER_STATE_PAID"],
};

const STATES = ["ORDER_STATE_PLACED", "ORDER_STATE_PAID", "ORDER_STATE_SHIPPED", "ORDER_STATE_DELIVERED"] as const;

/** The `sequence`-th thing that happens to an order: each kind of `oneof` in turn. */
export function orderEvent(sequence: number): Record<string, unknown> {
  const at = { seconds: String(Number(PLACED_AT.seconds) + sequence), nanos: 0 };
  if (sequence % 3 === 1) return { sequence, at, noteAdded: `Parcel seen at stop ${sequence}` };
  if (sequence % 3 === 2)
    return { sequence, at, refunded: { currencyCode: "EUR", units: sequence, nanos: 250_000_000 } };
  return { sequence, at, stateChanged: STATES[(sequence / 3) % STATES.length] };
}
