/* What the end of a mail transaction means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poll/verdict.h"

static struct delivery_job *job_to(const char *recipients)
{
    struct delivery_job *job = delivery_job_new(recipients, "localhost");

    assert_non_null(job);
    job->row = 7;
    return job;
}

static void set_reply(struct smtp_reply *reply, int code, const char *text)
{
    reply->code = code;
    (void)snprintf(reply->text, sizeof(reply->text), "%s", text);
}

static struct verdict judge(struct delivery_job *job)
{
    struct verdict verdict;

    assert_int_equal(verdict_of(job, "localhost:25", &verdict), 0);
    return verdict;
}

static void finish(struct delivery_job *job, struct verdict *verdict)
{
    free(verdict->owed);
    delivery_job_free(job);
}

static void a_bare_recipient_gets_the_domain_and_keeps_its_name(void **state)
{
    struct delivery_job *job = job_to("thomas\nanna@example.org");

    (void)state;
    assert_int_equal(job->transaction.rcpt_count, 2);
    assert_string_equal(job->rcpt[0].address, "thomas@localhost");
    assert_string_equal(job->rcpt[1].address, "anna@example.org");
    assert_string_equal(job->names, "thomas");
    delivery_job_free(job);
}

static void delivered_to_all_is_recorded(void **state)
{
    struct delivery_job *job = job_to("thomas");
    struct verdict verdict;

    (void)state;
    job->transaction.result = SMTP_DELIVERED;
    job->rcpt[0].state = SMTP_RCPT_DELIVERED;
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_DONE);
    assert_int_equal(verdict.receipt.state, HISTORY_RECORDED);
    assert_true(verdict.receipt.delivered);
    assert_string_equal(verdict.receipt.owed, "");
    assert_false(verdict.receipt.stumbled);
    finish(job, &verdict);
}

static void those_whom_rcpt_refused_are_still_owed(void **state)
{
    struct delivery_job *job = job_to("thomas\nanna\nberta");
    struct verdict verdict;

    (void)state;
    job->transaction.result = SMTP_DELIVERED;
    job->rcpt[0].state = SMTP_RCPT_REFUSED;
    set_reply(&job->rcpt[0].reply, 450, "450 greylisted");
    job->rcpt[1].state = SMTP_RCPT_DELIVERED;
    job->rcpt[2].state = SMTP_RCPT_REFUSED;
    set_reply(&job->rcpt[2].reply, 550, "550 no such user");
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_OWED);
    assert_int_equal(verdict.receipt.state, HISTORY_LISTED);
    assert_true(verdict.receipt.delivered);
    assert_string_equal(verdict.receipt.owed, "thomas\nberta");
    assert_false(verdict.receipt.refused);
    assert_true(verdict.receipt.stumbled);
    assert_int_equal(job->fault.class, FAULT_REFUSED);
    assert_int_equal(job->fault.scope, FAULT_OF_MAILBOX);
    assert_non_null(strstr(job->fault.text, "550 no such user"));
    finish(job, &verdict);
}

static void a_recipient_refused_for_good_marks_no_message(void **state)
{
    struct delivery_job *job = job_to("thomas");
    struct verdict verdict;

    (void)state;
    job->transaction.result = SMTP_NO_RCPT;
    job->rcpt[0].state = SMTP_RCPT_REFUSED;
    set_reply(&job->rcpt[0].reply, 550, "550 no such user");
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_REFUSED);
    assert_false(verdict.receipt.refused);
    assert_string_equal(verdict.receipt.owed, "thomas");
    finish(job, &verdict);
}

static void a_5xx_to_the_message_is_a_refusal_and_a_4xx_is_not(void **state)
{
    struct delivery_job *job = job_to("thomas");
    struct verdict verdict;

    (void)state;
    job->transaction.result = SMTP_REFUSED;
    job->transaction.stage = "final dot";
    set_reply(&job->transaction.reply, 554, "554 5.7.1 spam");
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_REFUSED);
    assert_true(verdict.receipt.refused);
    assert_int_equal(job->fault.scope, FAULT_OF_MESSAGE);
    free(verdict.owed);
    set_reply(&job->transaction.reply, 451, "451 try later");
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_DEFERRED);
    assert_false(verdict.receipt.refused);
    assert_int_equal(job->fault.class, FAULT_RETRY);
    assert_string_equal(verdict.receipt.owed, "thomas");
    finish(job, &verdict);
}

static void lmtp_refuses_the_message_for_one_recipient(void **state)
{
    struct delivery_job *job = job_to("thomas\nanna");
    struct verdict verdict;

    (void)state;
    job->transaction.result = SMTP_DELIVERED;
    job->rcpt[0].state = SMTP_RCPT_DELIVERED;
    job->rcpt[1].state = SMTP_RCPT_FAILED;
    set_reply(&job->rcpt[1].reply, 552, "552 over quota");
    verdict = judge(job);
    assert_int_equal(verdict.outcome, DELIVERY_OWED);
    assert_true(verdict.receipt.refused);
    assert_string_equal(verdict.receipt.owed, "anna");
    finish(job, &verdict);
}

static void a_session_lost_after_the_dot_says_that_the_message_may_come_twice(void **state)
{
    struct delivery_job *job = job_to("thomas");
    struct fault fault;
    struct verdict verdict;

    (void)state;
    (void)fault_set(&fault, FAULT_OF_DESTINATION, FAULT_RETRY, "final dot",
                    "localhost closed the connection");
    job->transaction.dot_sent = true;
    assert_int_equal(verdict_of_lost(job, &fault, &verdict), 0);
    assert_int_equal(job->outcome, DELIVERY_DEFERRED);
    assert_false(verdict.receipt.delivered);
    assert_string_equal(verdict.receipt.owed, "thomas");
    assert_int_equal(job->fault.scope, FAULT_OF_MESSAGE);
    assert_non_null(strstr(job->fault.text, "once more"));
    finish(job, &verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_recipient_gets_the_domain_and_keeps_its_name),
        cmocka_unit_test(delivered_to_all_is_recorded),
        cmocka_unit_test(those_whom_rcpt_refused_are_still_owed),
        cmocka_unit_test(a_recipient_refused_for_good_marks_no_message),
        cmocka_unit_test(a_5xx_to_the_message_is_a_refusal_and_a_4xx_is_not),
        cmocka_unit_test(lmtp_refuses_the_message_for_one_recipient),
        cmocka_unit_test(a_session_lost_after_the_dot_says_that_the_message_may_come_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
