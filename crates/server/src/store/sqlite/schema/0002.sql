-- Who still wants a rule, who withdrew an order, and what a machine was handed.

-- 1: it wants its rule to be in force. A rule that orders want ends with the last of them.
ALTER TABLE "order" ADD COLUMN wanting INTEGER NOT NULL DEFAULT 0 CHECK (wanting IN (0, 1));
-- That somebody asked for it to be withdrawn; whether it was stands in its state.
ALTER TABLE "order" ADD COLUMN cancelled_at INTEGER;
ALTER TABLE "order" ADD COLUMN cancelled_by TEXT;
ALTER TABLE "order" ADD COLUMN cancelled_comment TEXT;
CREATE INDEX order_wanting ON "order" (organization, rule) WHERE wanting = 1;

-- When it was first on its way to its machine: from then on only the machine can say that it will not begin.
ALTER TABLE act ADD COLUMN handed INTEGER;
CREATE INDEX act_begun ON act (begun) WHERE state = 'InProgress';
-- What a result that came too late would have made of the act.
ALTER TABLE act ADD COLUMN late_state TEXT;
-- Services that were stopped with what they ran, one a line.
ALTER TABLE act ADD COLUMN services TEXT NOT NULL DEFAULT '';
